"""How long each stage took, from a run's event log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.pages.durations import in_words

# These resume, so that their time is the sum over attempts.
_RESUMED = frozenset({"teach", "generate", "distill"})
_ENDS = frozenset({"stage.finished", "stage.stopped"})


@dataclass(frozen=True)
class StageTime:
    """One bar of the times: percent of the longest stage."""

    stage: str
    text: str
    percent: float


def stage_times(seconds: Mapping[str, float]) -> list[StageTime]:
    """Turn seconds by stage into bars."""
    longest = max(seconds.values(), default=1.0) or 1.0
    return [
        StageTime(stage, in_words(value), 100 * value / longest) for stage, value in seconds.items()
    ]


def stage_seconds(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the seconds of each stage, in the order of their first end.

    Of stages that resume all attempts count that made something, and the time of two at once only
    once; of the others the last attempt.
    """
    seconds: dict[str, float] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    working: set[str] = set()
    for event in events:
        name = event["event"]
        if name == "stage.started":
            working.discard(event["stage"])
        elif name not in _ENDS:
            # Progress of a stage bears its name.
            working.update(_RESUMED & {name.partition(".")[0]} if "done" in event else ())
        elif (stage := event["stage"]) not in _RESUMED:
            seconds[stage] = float(event["seconds"])
        elif stage in working:
            end = datetime.fromisoformat(event["time"]).timestamp()
            spans.setdefault(stage, []).append((end - float(event["seconds"]), end))
            seconds[stage] = _covered(spans[stage])
    return seconds


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of some spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL event log, none where there is no file; a line cut short is skipped."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events
