"""What every stage gets: the recipe, the machine, where artefacts lie, and where events go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from jobs.runtime.devices import Asked, Machine, choose_machine
from jobs.runtime.events import Events, logging_to, screen
from jobs.runtime.provenance import describe_machine
from jobs.runtime.recipes import open_recipe
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.run_place import FolderPlace, RunPlace, StorePlace, open_place
from pipeline.recipe.recipe import Recipe
from pipeline.storage.node_cache import NodeCache
from pipeline.storage.store import StorageError
from pipeline.systems.registry import find_teacher
from training.students.registry import find_student

# How often the events of a run at an address are sent there.
_SEND_EVERY_S = 60.0
# Ends of stages are sent at once: the report counts on them.
_SENT_AT_ONCE = frozenset({"stage.finished", "stage.stopped"})


@dataclass(frozen=True)
class Session:
    """One command at work on one recipe."""

    recipe: Recipe
    asked: Asked
    place: RunPlace
    events: Events
    cache: NodeCache = NodeCache()

    @property
    def folder(self) -> RunFolder:
        """Where artefacts are on this machine's disk."""
        return self.place.folder

    @cached_property
    def machine(self) -> Machine:
        """This machine; ValueError where it lacks the device that was asked for."""
        return choose_machine(self.asked.device, self.asked.dtype)

    @property
    def drawing(self) -> Path:
        """The example's drawing on this machine's disk, where there is one."""
        return _find_drawing(self.recipe, self.place, self.cache)


@contextmanager
def open_session(
    name: str,
    run: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    cache: NodeCache | None = None,
) -> Iterator[Session]:
    """Read the recipe, open the place of its artefacts and the run's event log.

    Args:
        name: a recipe's file or the name of a shipped style.
        run: folder or address for the artefacts; None: the recipe's own.
        device: `auto`, or as `choose_machine` has it; likewise `dtype`.
        cache: of this node; by default the user's.

    Raises:
        ValueError: the recipe, the folder, the address or the device cannot be used.
    """
    recipe = open_recipe(name, None if run is None else str(run))
    # Now, not after the hours of the stages before.
    find_teacher(recipe.teach.teacher)
    find_student(recipe.distill.student)
    asked, cache = Asked(device, dtype), cache or NodeCache()
    console = screen()
    with (
        open_place(recipe, cache) as place,
        logging_to(console),
        _RunEvents(console, place) as events,
    ):
        session = Session(recipe, asked, place, events, cache)
        with suppress(ValueError):
            # Where a cluster works this machine need not have the device.
            events.write("run.opened", describe_machine(session.machine) | {"style": recipe.style})
        yield session


class _RunEvents(Events):
    """Events of a run, held back until a stage has made its folder.

    So that a misspelt --run leaves no folder behind. Those of a run at an address are sent there
    every minute, and at the end.
    """

    def __init__(self, console: Console, place: RunPlace) -> None:
        super().__init__(console)
        self.place = place
        self.held = StringIO()
        self.file = self.held
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._begun = False

    def __enter__(self) -> Self:
        super().__enter__()
        if isinstance(self.place, StorePlace):
            threading.Thread(target=self._send_often, name="events", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        with suppress(StorageError):
            self._send()
        super().__exit__(*error)

    def write(self, name: str, fields: dict[str, Any]) -> None:
        """Append the event to the run's file; those held back go before it."""
        with self._lock:
            super().write(name, fields)
            log = self.place.folder.events
            if isinstance(self.place, FolderPlace) and self.file is self.held:
                if log.parent.is_dir():
                    self.file = log.open("a", encoding="utf-8")
                    self.file.write(self.held.getvalue())
                    self.file.flush()
            # Before the first stage begins nothing is sent: a mistake must leave nothing behind.
            self._begun |= name == "stage.started"
        if name in _SENT_AT_ONCE:
            with suppress(StorageError):
                self._send()

    def _send_often(self) -> None:
        while not self._ended.wait(_SEND_EVERY_S):
            with suppress(StorageError):
                self._send()

    def _send(self) -> None:
        if not (isinstance(self.place, StorePlace) and self._begun):
            return
        with self._lock:
            lines = self.held.getvalue()
            if lines:
                self.place.send_events(lines)
                self.held.seek(0)
                self.held.truncate()


def _find_drawing(recipe: Recipe, place: RunPlace, cache: NodeCache) -> Path:
    """Find a recipe's drawing: where the recipe says, else the copy that the run keeps."""
    if recipe.example.drawing.startswith("s3:"):
        return Path(cache.local_path(recipe.example.drawing))
    path = recipe.drawing_path
    if not path.is_file():
        place.fetch("example")
        kept = sorted(place.folder.example.glob("drawing.*"))
        path = kept[0] if kept else path
    return path
