"""Events: JSON lines for machines, log lines without a terminal, bars with one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from jobs.report.stage_times import read_events
from jobs.runtime.events import Events, event_line, logging_to


def record(path: Path | None, terminal: bool = False) -> tuple[Events, Console, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100)
    return Events(console, path), console, text


def test_every_event_is_a_json_line(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    events, console, _ = record(path)
    with logging_to(console), events:
        events("teach.resumed", iteration=7, folder=Path("x"))
        for i in range(1, 31):
            events("teach.iteration", done=i, total=30, loss=0.5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 31
    assert lines[0]["event"] == "teach.resumed"
    assert lines[0]["folder"] == "x"
    assert lines[-1]["done"] == 30


def test_without_a_terminal_progress_is_a_line_each_tenth() -> None:
    events, console, text = record(None)
    with logging_to(console), events:
        for i in range(1, 101):
            events("step", done=i, total=100)
    lines = text.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1].endswith("step done=100 total=100")


def test_long_lines_are_not_wrapped() -> None:
    events, console, text = record(None)
    with logging_to(console), events:
        events("long", value="x" * 300)
    assert text.getvalue().count("\n") == 1


def test_a_terminal_gets_a_bar() -> None:
    events, console, text = record(None, terminal=True)
    with logging_to(console), events:
        events("teach.iteration", done=1, total=4, loss=0.25)
        assert len(events.progress.tasks) == 1
        events.clear_bars()
        assert not events.progress.tasks
    assert "teach.iteration" in text.getvalue()


def test_a_stage_that_fails_still_leaves_its_time(tmp_path: Path) -> None:
    events, console, _ = record(tmp_path / "events.jsonl")
    with logging_to(console), events, pytest.raises(KeyError), events.stage("teach"):
        raise KeyError
    last = read_events(tmp_path / "events.jsonl")[-1]
    assert (last["event"], last["stage"]) == ("stage.stopped", "teach")
    assert last["seconds"] >= 0


def test_fields_are_short_and_quoted() -> None:
    assert (
        event_line("e", {"loss": 0.123456, "why": "two words"}) == 'e loss=0.1235 why="two words"'
    )
