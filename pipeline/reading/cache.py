"""Shards of a far dataset on the local disk, named by their hash; processes may share a folder."""

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
    """Keeps what was fetched; beyond `limit_bytes` the shards opened longest ago go first.

    A limit must leave room for all shards that are read at a time, or they are fetched for each
    pair anew.
    """

    folder: Path
    limit_bytes: int | None = None

    def whole(self, tar: StoredFile, fetch: Callable[[], bytes]) -> bytes:
        """Return a shard's bytes, which `fetch` brings (verified) where they are not here."""
        name = _name(tar)
        with suppress(MissingKeyError):
            data = self._store.read(name)
            if canonical.sha256(data) == tar.sha256:
                self._touch(name)
                return data
            self._store.delete(name)  # spoilt on the disk since
        data = fetch()
        self._make_room(len(data))
        self._store.create(name, data)
        return data

    def part(self, tar: StoredFile, start: int, length: int, fetch: Callable[[], bytes]) -> bytes:
        """Return some of a shard's bytes."""
        with suppress(MissingKeyError):
            return self._store.read_range(_name(tar), start, length)
        # Another process has made room in the meantime.
        return self.whole(tar, fetch)[start : start + length]

    @property
    def _store(self) -> LocalStore:
        return LocalStore(self.folder)

    def _touch(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.utime(self.folder / name)

    def _make_room(self, size_bytes: int) -> None:
        if self.limit_bytes is None:
            return
        # Somebody may have given a folder that holds other things, too.
        ours = (entry for entry in self._store.entries("") if _NAME.fullmatch(entry.key))
        kept = sorted(ours, key=lambda entry: entry.created_s)
        total_bytes = size_bytes + sum(entry.size for entry in kept)
        for entry in kept:
            if total_bytes <= self.limit_bytes:
                return
            self._store.delete(entry.key)
            total_bytes -= entry.size


def _name(tar: StoredFile) -> str:
    return f"{tar.sha256}.tar"
