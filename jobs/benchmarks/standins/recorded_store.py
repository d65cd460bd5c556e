"""A store that holds a dataset of any number of shards, and makes up what is read from it.

Commit records and names are functions of a shard's number. All shards share one real tar and index,
so that what is read of them is sound. Nothing is kept but what is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

from jobs.benchmarks.standins.pictures import photograph_pairs, plan_for
from pipeline.dataset import layout
from pipeline.dataset.commit import Commit, StoredFile, describe_file
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.index import build_index
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import build_shard, list_members
from pipeline.storage.store import Created, Entry, MissingKeyError

# Small shards of small pictures: what is measured here is their number.
SHARD_SIZE = 120
_SIDE = 16


class RecordedStore:
    """The first `done` shards of a plan are committed; `plan` has `shards`."""

    single_writer = False
    url = "memory:recorded"

    def __init__(self, shards: int, done: int) -> None:
        self.done = done
        self.plan: Plan = plan_for(shards * SHARD_SIZE, SHARD_SIZE, 8)
        self.written: dict[str, bytes] = {}

    def create(self, key: str, data: bytes) -> Created:
        """Keep what is written."""
        self.written[key] = data
        return Created.NEW

    def read(self, key: str) -> bytes:
        """Return what was written, or make up what the plan has there."""
        if key in self.written:
            return self.written[key]
        if key == layout.PLAN:
            return self.plan.to_bytes()
        shard = layout.committed_shard(key)
        if shard is not None and shard < self.done:
            return self._commit(shard).to_bytes()
        if key.startswith(layout.SHARDS):
            return self._files[0]
        if key.startswith(layout.INDEX):
            return self._files[1]
        raise MissingKeyError(f"{self.url} has no {key}")

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return a part of `read`."""
        return self.read(key)[start : start + length]

    def keys(self, prefix: str) -> list[str]:
        """List what is there."""
        return sorted([*self._made_up(prefix), *self._written(prefix)])

    def entries(self, prefix: str) -> list[Entry]:
        """List what is there, each as large as the one tar and a second after the last."""
        size = len(self._files[0])
        return [Entry(key, size, float(made)) for made, key in enumerate(self.keys(prefix))]

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below another one."""
        inner = (key.removeprefix(prefix).split("/") for key in self.keys(prefix))
        return sorted({f"{prefix}{parts[0]}/" for parts in inner if len(parts) > 1})

    def leftovers(self) -> list[Entry]:
        """Return nothing: writes are whole."""
        return []

    def exists(self, key: str) -> bool:
        """Tell whether something was written or is a committed shard's."""
        shard = layout.committed_shard(key)
        return key in self.written or (shard is not None and shard < self.done)

    def size(self, key: str) -> int:
        """Return the size of what `read` returns."""
        return len(self.read(key))

    def delete(self, key: str) -> None:
        """Forget what was written."""
        self.written.pop(key, None)

    def _written(self, prefix: str) -> Iterator[str]:
        return (key for key in self.written if key.startswith(prefix))

    def _made_up(self, prefix: str) -> Iterator[str]:
        names = {layout.COMMITS: layout.commit_key, layout.SHARDS: layout.shard_key}
        if prefix in names:
            yield from map(names[prefix], range(self.done))

    def _commit(self, shard: int) -> Commit:
        tar, index = self._described
        # Hashes of their own: equal texts would be kept once.
        return Commit(
            plan_sha256=self._plan_sha256,
            shard=shard,
            tar=StoredFile(layout.shard_key(shard), _hash(f"tar {shard}"), tar.size),
            index=StoredFile(layout.index_key(shard), _hash(f"index {shard}"), index.size),
            pairs=SHARD_SIZE,
            quarantined=(),
        )

    @cached_property
    def _plan_sha256(self) -> str:
        return self.plan.sha256

    @cached_property
    def _files(self) -> tuple[bytes, bytes]:
        tar = build_shard([encode_pair(pair) for pair in photograph_pairs(SHARD_SIZE, _SIDE)])
        return tar, build_index(0, tar, list_members(tar))

    @cached_property
    def _described(self) -> tuple[StoredFile, StoredFile]:
        tar, index = self._files
        return describe_file(layout.shard_key(0), tar), describe_file(layout.index_key(0), index)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
