"""Times per stage, read back from a run's event log."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# These go on where they stopped, so that their time is the sum over attempts.
RESUMED = frozenset({"teach", "generate", "distill"})
ENDS = frozenset({"stage.finished", "stage.stopped"})
SECONDS_PER_MINUTE = 60
MINUTES_PER_HOUR = 60
HOURS_PER_DAY = 24


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL event log; a line cut short by a crash is passed over."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events


def stage_seconds(events: list[dict[str, Any]]) -> Mapping[str, float]:
    """Seconds of each stage in the order of their first end; attempts of resumed stages add up."""
    seconds: dict[str, float] = {}
    for event in events:
        if event["event"] not in ENDS:
            continue
        stage = event["stage"]
        before = seconds.get(stage, 0.0) if stage in RESUMED else 0.0
        seconds[stage] = before + float(event["seconds"])
    return seconds


def in_words(seconds: float) -> str:
    """Write a duration as people do: 4.2 s, 3 min 05 s, 2 h 07 min, 3 d 04 h."""
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), SECONDS_PER_MINUTE)
    if minutes < MINUTES_PER_HOUR:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / SECONDS_PER_MINUTE), MINUTES_PER_HOUR)
    if hours < 2 * HOURS_PER_DAY:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / SECONDS_PER_MINUTE / MINUTES_PER_HOUR), HOURS_PER_DAY)
    return f"{days} d {hours:02d} h"
