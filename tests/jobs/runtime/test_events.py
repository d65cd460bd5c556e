"""Events: JSON lines for machines, log lines without a terminal, bars with one."""

from __future__ import annotations

import io
import json
import time
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


def test_without_a_terminal_no_minute_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runtime.events._LINE_EVERY_S", 0.2)
    monkeypatch.setattr("jobs.runtime.events._LOOK_S", 0.02)
    text = io.StringIO()
    console = Console(file=text, width=200)
    with logging_to(console), Events(console) as events, events.stage("teach"):
        time.sleep(0.5)
        for done in (1, 2):
            events("teach.iteration", done=done, total=1000)
        time.sleep(0.5)
    names = [line.split()[1] for line in text.getvalue().splitlines()]
    assert names[0] == "teach.started" and names[-1] == "stage.finished"
    assert names[1:3] == ["teach.working", "teach.working"]
    assert "teach.working minutes=0 last=teach.iteration done=2 total=1000" in text.getvalue()


def test_a_terminal_shows_that_a_stage_loads() -> None:
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True)
    with logging_to(console), Events(console) as events, events.stage("teach"):
        events.progress.refresh()
        assert "teach: loading" in text.getvalue()
        events("teach.iteration", done=1, total=10)
        assert [task.description for task in events.progress.tasks] == ["teach.iteration"]


def test_what_a_stopped_stage_keeps_is_noted() -> None:
    events = Events(Console(quiet=True))
    with pytest.raises(KeyboardInterrupt) as caught, events.stage("teach"):
        events("teach.stopped", kept=1200, of=3000, what="iterations")
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["teach keeps 1,200 of 3,000 iterations"]
