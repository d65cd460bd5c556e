"""Where the files of a training outlive its process: its own folder, or a run's store.

A training works in a folder on its own disk. With a folder that stays, that is all. With a store,
each checkpoint is uploaded beside the training as a bundle of its own, so that it is whole or not
there; a training that starts again, on any machine, fetches the latest of them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.events import OnEvent, ignore
from pipeline.storage.bundle import FILES, publish_bundle, remove_bundle
from pipeline.storage.node_cache import NodeCache
from pipeline.storage.store import StorageError, Store
from training.checkpoint import CHECKPOINT, HISTORY

# What a checkpoint consists of: lines of the history are older than the checkpoint or cut off.
_KEPT = (CHECKPOINT, HISTORY)
_NAME = re.compile(rf"([0-9]{{9}}-[0-9a-f]{{8}})/{re.escape(FILES)}")
# Beside the latest, for a rank that is reading it just now.
_SPARE = 1


class Keeper(Protocol):
    """Keeps a training's files; called by the process that writes them, except `restore`."""

    def latest(self) -> str:
        """Name the latest whole checkpoint that is kept; empty where there is none."""
        ...

    def restore(self, name: str, folder: Path) -> None:
        """Put a checkpoint and its history into a folder."""
        ...

    def keep(self, folder: Path, iteration: int, wait: bool = False) -> None:
        """Make the checkpoint that lies in a folder durable.

        Args:
            wait: return when it is, instead of at once.
        """
        ...

    def finish(self, folder: Path) -> None:
        """Make a finished training's files durable, which need no checkpoint any more.

        Raises:
            StorageError: the store fails, or holds another result.
        """
        ...


class FolderKeeper:
    """For a folder that stays: nothing is left to do."""

    def latest(self) -> str:
        """Name no checkpoint: the folder has it already."""
        return ""

    def restore(self, name: str, folder: Path) -> None:
        """Leave the folder as it is."""

    def keep(self, folder: Path, iteration: int, wait: bool = False) -> None:
        """Leave the checkpoint where it is."""

    def finish(self, folder: Path) -> None:
        """Leave the files where they are."""


@dataclass
class StoreKeeper:
    """Keeps a training in a store: `prefix` when it is finished, `checkpoints/PREFIX/` until then.

    Attributes:
        cache: of the node, through which checkpoints come back.
        on_event: hears of checkpoints that could not be kept: the training goes on, and the next
            one is tried.
    """

    store: Store
    prefix: str
    cache: NodeCache
    on_event: OnEvent = ignore
    _upload: threading.Thread | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_upload": None}

    @property
    def _checkpoints(self) -> str:
        return f"checkpoints/{self.prefix}"

    def latest(self) -> str:
        """Name the latest whole checkpoint; empty where there is none."""
        return max(self._whole(), default="")

    def restore(self, name: str, folder: Path) -> None:
        """Fetch a checkpoint and its history."""
        kept = self.cache.fetch(self.store, f"{self._checkpoints}/{name}")
        for file in _KEPT:
            if (kept / file).is_file():
                # A copy: the history is appended to.
                shutil.copyfile(kept / file, folder / file)

    def keep(self, folder: Path, iteration: int, wait: bool = False) -> None:
        """Upload the checkpoint in a folder; while one is under way, others are left out."""
        if self._upload is not None and self._upload.is_alive() and not wait:
            return
        self._join()
        frozen = Path(tempfile.mkdtemp(prefix=".kept-", dir=folder))
        # The checkpoint is replaced by renaming, so that a link stays what it is.
        os.link(folder / CHECKPOINT, frozen / CHECKPOINT)
        shutil.copyfile(folder / HISTORY, frozen / HISTORY)
        name = f"{iteration:09d}-{secrets.token_hex(4)}"
        self._upload = threading.Thread(target=self._put, args=(frozen, name), name="keeper")
        self._upload.start()
        if wait:
            self._join()

    def finish(self, folder: Path) -> None:
        """Publish the finished training, then remove its checkpoints."""
        self._join()
        publish_bundle(self.store, self.prefix, folder)
        self._remove(self._all())

    def _put(self, frozen: Path, name: str) -> None:
        try:
            publish_bundle(self.store, f"{self._checkpoints}/{name}", frozen)
            older = sorted(other for other in self._all() if other < name)
            self._remove(older[: len(older) - _SPARE])
        except (StorageError, OSError) as error:
            self.on_event("checkpoint.not_kept", checkpoint=name, reason=str(error))
        finally:
            shutil.rmtree(frozen, ignore_errors=True)

    def _join(self) -> None:
        if self._upload is not None:
            self._upload.join()
            self._upload = None

    def _whole(self) -> list[str]:
        start = f"{self._checkpoints}/"
        names = (_NAME.fullmatch(key.removeprefix(start)) for key in self.store.keys(start))
        return [found[1] for found in names if found]

    def _all(self) -> list[str]:
        start = f"{self._checkpoints}/"
        return sorted({key.removeprefix(start).split("/")[0] for key in self.store.keys(start)})

    def _remove(self, names: list[str]) -> None:
        for name in names:
            # A writer's rights may not go so far: what is left costs room only.
            with suppress(StorageError):
                remove_bundle(self.store, f"{self._checkpoints}/{name}")
