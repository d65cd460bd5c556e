"""Where a run's artefacts lie: a folder, in which stages work, or an address in a store.

With an address each stage works in a folder of this process, into which it fetches what it needs
and from which it publishes what it made. A machine needs the address and its own credentials.

    ADDRESS/source, example, teacher, extractor, evaluation    bundles (`pipeline.storage.bundle`)
    ADDRESS/dataset                                            as docs/dataset-format.md has it
    ADDRESS/checkpoints/STAGE                                  of trainings that are not finished
    ADDRESS/leases/STAGE                                       while a training is at work
    ADDRESS/events, generation                                 one object for each command and part
    ADDRESS/report.html
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from jobs.runtime.run_folder import RunFolder
from pipeline.events import OnEvent
from pipeline.recipe.recipe import Recipe
from pipeline.storage.address import is_address, open_store
from pipeline.storage.bundle import FILES, publish_bundle
from pipeline.storage.lease import (
    PATIENCE_S,
    folder_lease,
    one_after_the_other,
    store_lease,
)
from pipeline.storage.node_cache import NodeCache
from pipeline.storage.store import Created, Entry, MissingKeyError, Store
from pipeline.whole_file import write_bytes
from training.keeper import FolderKeeper, Keeper, StoreKeeper

Part = Literal["source", "example", "teacher", "extractor", "evaluation"]
_EVENTS, _GENERATION = "events/", "generation/"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


class RunPlace(Protocol):
    """A run's artefacts for one command."""

    @property
    def folder(self) -> RunFolder:
        """Where they are on this machine's disk while the command works."""
        ...

    @property
    def store(self) -> Store | None:
        """The store that other machines find them in; None where a folder is all there is."""
        ...

    def fetch(self, *parts: Part) -> None:
        """Have parts at hand in the folder; those that do not exist are left out."""
        ...

    def publish(self, part: Part, replace: bool = False) -> None:
        """Make a part that was made in the folder durable.

        Args:
            replace: what is there already may be another one, for pages that are made anew.
        """
        ...

    def keeper(self, part: Part) -> Keeper:
        """Return what keeps a part's training while it is not finished."""
        ...

    def lease(self, stage: str, on_event: OnEvent) -> AbstractContextManager[None]:
        """Hold a stage of the run, so that no second process works on it.

        Raises:
            HeldError: another process does.
        """
        ...

    def publish_file(self, path: Path) -> str:
        """Make a page of the folder durable; return where it is."""
        ...

    def sizes(self, name: str) -> list[int]:
        """Return the sizes of a part's files, its checkpoints included, in bytes."""
        ...

    def remove(self, name: str) -> None:
        """Remove a part, its checkpoints included."""
        ...

    def add_generation(self, run: dict[str, Any]) -> None:
        """Add what a run of `generate` did."""
        ...

    def send_events(self, lines: str) -> None:
        """Make whole lines of the event log durable."""
        ...

    def fetch_records(self) -> None:
        """Have the events of all commands at hand in the folder."""
        ...


@dataclass(frozen=True)
class FolderPlace:
    """A run in a folder: everything lies where it is made."""

    folder: RunFolder
    store: None = None

    def fetch(self, *parts: Part) -> None:
        """Leave all where it is."""

    def publish(self, part: Part, replace: bool = False) -> None:
        """Leave it where it is."""

    def keeper(self, part: Part) -> Keeper:
        """Return one that leaves all where it is."""
        return FolderKeeper()

    def lease(self, stage: str, on_event: OnEvent) -> AbstractContextManager[None]:
        """Lock a file of the folder, where there is one yet."""
        if not self.folder.root.is_dir():
            return nullcontext()
        what = f"{self.folder.root}: {stage}"
        return folder_lease(self.folder.root / f".{stage}.lock", what)

    def publish_file(self, path: Path) -> str:
        """Leave it where it is."""
        return str(path)

    def sizes(self, name: str) -> list[int]:
        """Return the sizes of a file, or of all files of a folder."""
        path = self.folder.root / name
        files = [path, *path.rglob("*")]
        return [file.stat().st_size for file in files if file.is_file()]

    def remove(self, name: str) -> None:
        """Remove a file or a folder."""
        path = self.folder.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def add_generation(self, run: dict[str, Any]) -> None:
        """Append it to generation.json."""
        with one_after_the_other(self.folder.root / ".generation.lock"):
            runs = _read_runs(self.folder.generation)
            write_bytes(self.folder.generation, _runs_text([*runs, run]))

    def send_events(self, lines: str) -> None:
        """Leave them in the folder's log."""

    def fetch_records(self) -> None:
        """Leave all where it is."""


class StorePlace:
    """A run at an address; the folder is this process's own and goes with it."""

    def __init__(self, store: Store, folder: RunFolder, cache: NodeCache) -> None:
        self.store: Store = store
        self.folder = folder
        self.cache = cache
        # Name of this command's records: sorted by time, unlike any other command's.
        host = _NOT_IN_NAMES.sub("-", socket.gethostname())[:40]
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._name = f"{started}-{host}-{os.getpid()}-{secrets.token_hex(2)}"
        self._num_sent = 0

    def fetch(self, *parts: Part) -> None:
        """Link parts into the folder, from the node's cache."""
        for part in parts:
            with suppress(MissingKeyError):
                if not (self.folder.root / part).exists():
                    found = self.cache.fetch(self.store, part)
                    self.folder.root.mkdir(parents=True, exist_ok=True)
                    (self.folder.root / part).symlink_to(found, target_is_directory=True)

    def publish(self, part: Part, replace: bool = False) -> None:
        """Put a part into the store as a bundle."""
        folder = self.folder.root / part
        if not folder.is_symlink():
            publish_bundle(self.store, part, folder, replace)

    def keeper(self, part: Part) -> StoreKeeper:
        """Return one that keeps checkpoints in the store."""
        return StoreKeeper(self.store, part, self.cache)

    def lease(self, stage: str, on_event: OnEvent) -> AbstractContextManager[None]:
        """Hold it by objects of the store, with signs of life."""

        def stop() -> None:
            on_event(f"{stage}.taken_over", reason="this process showed no sign of life for long")
            os.kill(os.getpid(), signal.SIGTERM)

        def wait(who: str) -> None:
            on_event(f"{stage}.waiting", to_see_whether=f"{who} is alive", at_most_s=PATIENCE_S)

        return store_lease(self.store, stage, stop, wait)

    def publish_file(self, path: Path) -> str:
        """Put a page into the store, in place of the one before."""
        key, data = path.relative_to(self.folder.root).as_posix(), path.read_bytes()
        if self.store.create(key, data) is Created.OTHER:
            self.store.delete(key)
            self.store.create(key, data)
        return f"{self.store.url}/{key}"

    def sizes(self, name: str) -> list[int]:
        """Return the sizes of a part's objects."""
        return [entry.size for entry in self._entries(name)]

    def remove(self, name: str) -> None:
        """Remove a part's objects, and the link that was fetched."""
        # files.json first, as bundles are removed: the part is never there by half.
        for entry in sorted(self._entries(name), key=lambda entry: not entry.key.endswith(FILES)):
            self.store.delete(entry.key)
        (self.folder.root / name).unlink(missing_ok=True)

    def _entries(self, name: str) -> list[Entry]:
        folders = (f"{name}/", f"checkpoints/{name}/")
        entries = [entry for folder in folders for entry in self.store.entries(folder)]
        if "." in name:
            entries += [entry for entry in self.store.entries("") if entry.key == name]
        return entries

    def add_generation(self, run: dict[str, Any]) -> None:
        """Write it as an object of its own."""
        self.store.create(f"{_GENERATION}{self._name}.json", _runs_text([run]))

    def send_events(self, lines: str) -> None:
        """Write them as an object of their own."""
        self._num_sent += 1
        name = f"{_EVENTS}{self._name}-{self._num_sent:05d}.jsonl"
        self.store.create(name, lines.encode())

    def fetch_records(self) -> None:
        """Join the records of all commands in the folder."""
        events = [self.store.read(key) for key in self.store.keys(_EVENTS)]
        write_bytes(self.folder.events, b"".join(events))
        runs = [
            run
            for key in self.store.keys(_GENERATION)
            for run in json.loads(self.store.read(key))["runs"]
        ]
        write_bytes(self.folder.generation, _runs_text(runs))


@contextmanager
def open_place(recipe: Recipe, cache: NodeCache) -> Iterator[RunPlace]:
    """Open the place that a recipe's `run` names.

    Raises:
        StorageError: the address or the cache cannot be used.
    """
    if not is_address(recipe.run):
        yield FolderPlace(RunFolder(Path(recipe.run)))
        return
    with cache.work_folder() as folder:
        # Not made yet: what a stage leaves in it is what it made.
        yield StorePlace(open_store(recipe.run), RunFolder(folder / "run"), cache)


def _read_runs(path: Path) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    if path.is_file():
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return runs


def _runs_text(runs: list[dict[str, Any]]) -> bytes:
    return (json.dumps({"runs": runs}, indent=2) + "\n").encode()
