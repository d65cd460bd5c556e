"""Times of stages, read back from a run's event log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from jobs.report.stage_times import StageTime, read_events, stage_seconds, stage_times


def line(at_s: float, event: str, **fields: object) -> str:
    time = datetime.fromtimestamp(1e9 + at_s, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "event": event, **fields})


def seconds_of(tmp_path: Path, *lines: str) -> dict[str, float]:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines) + '\n{"event": "cut sho')
    return {stage: round(s, 3) for stage, s in stage_seconds(read_events(path)).items()}


def test_attempts_of_resumed_stages_add_up(tmp_path: Path) -> None:
    assert seconds_of(
        tmp_path,
        line(0, "stage.started", stage="teach"),
        line(1, "teach.iteration", done=1, total=2),
        line(2, "stage.stopped", stage="teach", seconds=2.0),
        line(9, "stage.finished", stage="evaluate", seconds=5.0),
        line(10, "stage.started", stage="teach"),
        line(11, "teach.iteration", done=2, total=2),
        line(13, "stage.finished", stage="teach", seconds=3.0),
        line(19, "stage.finished", stage="evaluate", seconds=1.0),
        # Everything was there: it took four seconds to find that out.
        line(20, "stage.started", stage="teach"),
        line(24, "stage.finished", stage="teach", seconds=4.0),
    ) == {"teach": 5.0, "evaluate": 1.0}
    assert read_events(tmp_path / "none.jsonl") == []


def test_time_of_two_at_once_counts_once(tmp_path: Path) -> None:
    assert seconds_of(
        tmp_path,
        line(0, "stage.started", stage="generate"),
        line(4, "stage.started", stage="generate"),
        line(5, "generate.shard", done=1, total=2),
        line(10, "stage.finished", stage="generate", seconds=10.0),
        line(12, "stage.finished", stage="generate", seconds=8.0),
    ) == {"generate": 12.0}


def test_the_longest_stage_has_the_longest_bar() -> None:
    assert stage_times({"teach": 200.0, "evaluate": 50.0}) == [
        StageTime("teach", "3 min 20 s", 100.0),
        StageTime("evaluate", "50.0 s", 25.0),
    ]
    assert stage_times({}) == []
