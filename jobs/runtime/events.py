"""Events of a run: progress bars and log lines for people, JSON lines for machines."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_log = logging.getLogger("onesketch")
_OWN_LOGGERS = ("onesketch", "pipeline", "training")
# Without a terminal there is no bar to move: a line at each of these steps has to do.
_LINE_EVERY_FRACTION = 0.1
# Nor is it ever silent for longer than this.
_LINE_EVERY_S = 60.0
_LOOK_S = 1.0
# How far back a bar looks to estimate the time left.
_RATE_OVER_S = 1800.0
# Read by the libraries when they are imported, which the commands do late.
_QUIET_ENVIRONMENT = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
# Whether this process keeps progress off the screen.
_quiet = False
# For the JSONL file only: useful for measurements, noise on a screen.
_DETAILS = frozenset({"teach.batch", "distill.rank", "generate.shard"})
# Libraries that log at INFO or WARNING what users of this project cannot act on.
_TALKATIVE = ("diffusers", "transformers", "httpx", "PIL", "webdataset", "fsspec", "ray")


class Events:
    """A callable on_event(name, **fields); the fields done and total together move a bar.

    An event of a stage that is being stopped says by kept, of and what how much of it stays.

    Attributes:
        console: where bars and lines appear.
        path: file for the events, one JSON object a line; None: none is kept.
    """

    def __init__(self, console: Console, path: Path | None = None) -> None:
        self.console = console
        self.path = path
        self.progress = _open_progress(console)
        self.tasks: dict[str, TaskID] = {}
        self.lines_due: dict[str, float] = {}
        self.file: TextIO | None = None
        self._kept = ""
        self._latest: tuple[str, dict[str, Any]] = ("", {})
        self._spoken_s = time.monotonic()
        self._spinner: TaskID | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("a", encoding="utf-8")
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        if self.file is not None:
            self.file.close()

    def __call__(self, name: str, **fields: Any) -> None:
        """Record one event and show it."""
        self.write(name, fields)
        if "kept" in fields:
            self._kept = f"{fields['kept']:,} of {fields['of']:,} {fields.get('what', '')}".strip()
        if "done" in fields and "total" in fields:
            self.move_bar(name, fields)
        elif name not in _DETAILS:
            self._say(name, fields)

    def write(self, name: str, fields: dict[str, Any]) -> None:
        """Append the event to the JSONL file, whole or not at all."""
        if self.file is None:
            return
        event = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name}
        self.file.write(json.dumps(event | fields, default=str) + "\n")
        self.file.flush()

    def move_bar(self, name: str, fields: dict[str, Any]) -> None:
        """Move the bar of an event, or log a line at each tenth where there is no terminal."""
        done, total = fields["done"], fields["total"]
        notes = {key: value for key, value in fields.items() if key not in ("done", "total")}
        if self.console.is_terminal:
            if name not in self.tasks:
                self.tasks[name] = self.progress.add_task(name, total=total, note="")
            self._end_spinner()
            note = event_line("", notes).strip()[:48]
            self.progress.update(self.tasks[name], completed=done, total=total, note=note)
        elif done >= min(self.lines_due.get(name, 0.0), total):
            self.lines_due[name] = done + _LINE_EVERY_FRACTION * total
            self._say(name, fields)
        else:
            self._latest = (name, fields)

    def _say(self, name: str, fields: dict[str, Any]) -> None:
        self._spoken_s = time.monotonic()
        self._latest = (name, fields)
        _log.info(event_line(name, fields))

    def _begin(self, stage: str) -> None:
        """Show that a stage is at work, long before its first result."""
        if self.console.is_terminal:
            self._spinner = self.progress.add_task(f"{stage}: loading", total=None, note="")
        else:
            self._say(f"{stage}.started", {})

    def _end_spinner(self) -> None:
        if self._spinner is not None:
            self.progress.remove_task(self._spinner)
            self._spinner = None

    def _speak_each_minute(self, stage: str, ended: threading.Event) -> None:
        """Without a terminal: say how it goes where nothing was said for a minute."""
        start_s = time.monotonic()
        while not ended.wait(_LOOK_S):
            silent_s = time.monotonic() - self._spoken_s
            if silent_s >= _LINE_EVERY_S and not self.console.is_terminal:
                name, fields = self._latest
                self._spoken_s = time.monotonic()
                minutes = round((self._spoken_s - start_s) / 60)
                now = {"minutes": minutes, "last": name} | fields
                _log.info(event_line(f"{stage}.working", now))

    def clear_bars(self) -> None:
        """Take down the bars of a finished stage."""
        for task in self.tasks.values():
            self.progress.remove_task(task)
        self.tasks.clear()
        self.lines_due.clear()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage; its line comes when it ends, its bars go."""
        self.write("stage.started", {"stage": name, "pid": os.getpid()})
        start = time.monotonic()
        self._kept, self._latest = "", (f"{name}.started", {})
        self._begin(name)
        ended = threading.Event()
        threading.Thread(
            target=self._speak_each_minute, args=(name, ended), name="minutes", daemon=True
        ).start()

        def seconds() -> float:
            return round(time.monotonic() - start, 2)

        try:
            yield
        except BaseException as error:
            # For the times alone: the error itself is reported elsewhere.
            self.write("stage.stopped", {"stage": name, "seconds": seconds()})
            if self._kept and isinstance(error, KeyboardInterrupt):
                error.add_note(f"{name} keeps {self._kept}")
            raise
        finally:
            ended.set()
            self._end_spinner()
        self.clear_bars()
        self("stage.finished", stage=name, seconds=seconds())


def event_line(name: str, fields: dict[str, Any]) -> str:
    """Write one event as one line."""
    return " ".join([name, *(f"{key}={_field_text(value)}" for key, value in fields.items())])


@contextmanager
def logging_to(console: Console) -> Iterator[None]:
    """Send the project's log lines to a console while the context lasts."""
    handler = _ConsoleHandler(console)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    own = [logging.getLogger(name) for name in _OWN_LOGGERS]
    for logger in own:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in own:
            logger.removeHandler(handler)
            logger.propagate = True


def screen() -> Console:
    """Return the console for progress and log lines: standard error, or nothing."""
    return Console(stderr=True, quiet=_quiet)


@contextmanager
def open_events(path: Path | None = None) -> Iterator[Events]:
    """Open progress and log lines of a command without a recipe.

    Args:
        path: file for the events, one JSON object a line; None: none is kept.
    """
    console = screen()
    with logging_to(console), Events(console, path) as events:
        yield events


def show_no_progress() -> None:
    """Keep progress and log lines of this process off the screen; files of events get them."""
    global _quiet  # noqa: PLW0603 - one screen, one choice
    _quiet = True


def quiet_libraries() -> None:
    """Keep other libraries' progress bars off the screen; call before they are imported."""
    for name, value in _QUIET_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


class _ConsoleHandler(logging.Handler):
    """Prints log lines through rich, above a progress bar that may be moving."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record as one line, whatever the width of the terminal."""
        self.console.print(self.format(record), soft_wrap=True, markup=False, highlight=False)


def _open_progress(console: Console) -> Progress:
    """Make the bars; they vanish from a terminal when done and are silent without one."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        # Shards take minutes on one GPU: from rich's 30 s no time left could be told.
        speed_estimate_period=_RATE_OVER_S,
        disable=not console.is_terminal,
    )


def _field_text(value: object) -> str:
    """Write one field for a log line: short floats, quoted text when it has spaces."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return json.dumps(text) if " " in text else text
