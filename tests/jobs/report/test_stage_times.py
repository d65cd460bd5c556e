"""Times of stages, read back from a run's event log."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.report.stage_times import StageTime, read_events, stage_seconds, stage_times


def test_stage_times_add_up_over_attempts_of_resumed_stages(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    ends = [
        ("stage.stopped", "teach", 2.0),
        ("stage.finished", "evaluate", 5.0),
        ("stage.finished", "teach", 3.0),
        ("stage.finished", "evaluate", 1.0),
    ]
    lines = [
        json.dumps({"event": event, "stage": stage, "seconds": seconds})
        for event, stage, seconds in ends
    ]
    path.write_text("\n".join(lines) + '\n{"event": "cut sho')
    assert stage_seconds(read_events(path)) == {"teach": 5.0, "evaluate": 1.0}
    assert read_events(tmp_path / "none.jsonl") == []


def test_the_longest_stage_has_the_longest_bar() -> None:
    assert stage_times({"teach": 200.0, "evaluate": 50.0}) == [
        StageTime("teach", "3 min 20 s", 100.0),
        StageTime("evaluate", "50.0 s", 25.0),
    ]
    assert stage_times({}) == []
