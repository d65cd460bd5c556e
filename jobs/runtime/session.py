"""What every stage gets: the recipe, the machine, where artefacts lie, and where events go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs.runtime.devices import Machine, choose_machine
from jobs.runtime.events import Events, logging_to
from jobs.runtime.provenance import describe_machine
from jobs.runtime.recipes import open_recipe
from jobs.runtime.run_folder import RunFolder
from pipeline.recipe.recipe import Recipe


@dataclass(frozen=True)
class Session:
    """One command at work on one recipe."""

    recipe: Recipe
    machine: Machine
    folder: RunFolder
    events: Events


@contextmanager
def open_session(
    name: str, run: Path | None = None, device: str = "auto", dtype: str = "auto"
) -> Iterator[Session]:
    """Read the recipe, choose the machine, open the run folder's event log.

    Args:
        name: a recipe's file or the name of a shipped style.
        run: folder for the artefacts; None: the recipe's own.
        device: `auto`, or as `choose_machine` has it; likewise `dtype`.

    Raises:
        ValueError: the recipe, the folder or the device cannot be used.
    """
    recipe = open_recipe(name, run)
    machine = choose_machine(device, dtype)
    folder = RunFolder(recipe.run_path)
    console = Console(stderr=True)
    with logging_to(console), _RunEvents(console, folder.events) as events:
        events.write("run.opened", describe_machine(machine) | {"style": recipe.style})
        yield Session(recipe, machine, folder, events)


@contextmanager
def open_events(path: Path | None = None) -> Iterator[Events]:
    """Open progress and log lines of a command without a recipe.

    Args:
        path: file for the events, one JSON object a line; None: none is kept.
    """
    console = Console(stderr=True)
    with logging_to(console), Events(console, path) as events:
        yield events


class _RunEvents(Events):
    """Events of a run, held back until a stage has made its folder.

    So that a misspelt --run leaves no folder behind.
    """

    def __init__(self, console: Console, path: Path) -> None:
        super().__init__(console)
        self.log = path
        self.held = StringIO()
        self.file = self.held

    def write(self, name: str, fields: dict[str, Any]) -> None:
        """Append the event to the run's file; those held back go before it."""
        super().write(name, fields)
        if self.file is self.held and self.log.parent.is_dir():
            self.file = self.log.open("a", encoding="utf-8")
            self.file.write(self.held.getvalue())
            self.file.flush()
