"""What every stage gets: the recipe, the machine, where artefacts lie, and where events go."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from jobs.artefacts import RunFolder
from jobs.devices import Machine, choose_machine
from jobs.events import Events, logging_to
from jobs.provenance import describe_machine
from jobs.recipes import open_recipe
from pipeline.recipe import Recipe


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
    """Read the recipe, choose the machine, open the run folder's event log."""
    recipe = open_recipe(name, run)
    machine = choose_machine(device, dtype)
    folder = RunFolder(recipe.run_path)
    console = Console(stderr=True)
    with logging_to(console), Events(console, folder.events) as events:
        events.write("run.opened", describe_machine(machine) | {"style": recipe.style})
        yield Session(recipe, machine, folder, events)


@contextmanager
def open_events(path: Path | None = None) -> Iterator[Events]:
    """Give commands without a recipe their progress and log lines."""
    console = Console(stderr=True)
    with logging_to(console), Events(console, path) as events:
        yield events
