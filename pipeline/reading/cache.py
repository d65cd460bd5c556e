"""Local copies of a remote dataset's shards, named by their hash; processes may share a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import canonical
from pipeline.dataset.commit import StoredFile
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError

_NAME = re.compile(r"[0-9a-f]{64}\.tar")


@dataclass(frozen=True)
class ShardCache:
    """A folder of fetched shards; beyond `limit_bytes` those used longest ago are removed.

    A limit must leave room for all shards that are read at the same time; otherwise they are
    fetched again for every pair.
    """

    folder: Path
    limit_bytes: int | None = None

    def read(self, tar: StoredFile, fetch: Callable[[], bytes]) -> bytes:
        """Return a whole shard; `fetch` returns its verified bytes if they are not in the cache."""
        name = _name(tar)
        with suppress(MissingKeyError):
            data = self._store.read(name)
            if canonical.sha256(data) == tar.sha256:
                self._touch(name)
                return data
            self._store.delete(name)  # it was damaged on the disk
        data = fetch()
        self._make_room(len(data))
        self._store.create(name, data)
        return data

    def read_range(
        self, tar: StoredFile, start: int, length: int, fetch: Callable[[], bytes]
    ) -> bytes:
        """Return `length` bytes of a shard from byte `start` on; `fetch` as in `read`."""
        name = _name(tar)
        with suppress(MissingKeyError):
            data = self._store.read_range(name, start, length)
            self._touch(name)
            return data
        # Another process has removed the shard in the meantime.
        return self.read(tar, fetch)[start : start + length]

    @property
    def _store(self) -> LocalStore:
        return LocalStore(self.folder)

    def _touch(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.utime(self.folder / name)

    def _make_room(self, size_bytes: int) -> None:
        if self.limit_bytes is None:
            return
        # The user may have chosen a folder that holds other files, too.
        ours = (entry for entry in self._store.entries("") if _NAME.fullmatch(entry.key))
        oldest_first = sorted(ours, key=lambda entry: entry.created_s)
        total_bytes = size_bytes + sum(entry.size for entry in oldest_first)
        for entry in oldest_first:
            if total_bytes <= self.limit_bytes:
                return
            self._store.delete(entry.key)
            total_bytes -= entry.size


def _name(tar: StoredFile) -> str:
    return f"{tar.sha256}.tar"
