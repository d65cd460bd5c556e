"""How long each stage took, from a run's event log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    Attempts of stages that resume add up; of the others the last attempt counts.
    """
    seconds: dict[str, float] = {}
    for event in events:
        if event["event"] not in _ENDS:
            continue
        stage = event["stage"]
        before = seconds.get(stage, 0.0) if stage in _RESUMED else 0.0
        seconds[stage] = before + float(event["seconds"])
    return seconds


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
