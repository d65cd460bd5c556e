"""Which samples of each shard match a filter, by the shards' indices.

Every index is fetched for that: of a quarter of a million shards they are gigabytes. What was found
is therefore kept in the reader's cache, where the other processes of the node find it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline import canonical
from pipeline.dataset.index import read_index
from pipeline.dataset.manifest import Manifest, ManifestShard
from pipeline.dataset.tar import ShardError
from pipeline.filters import Filter, FilterError
from pipeline.reading.verified import RefusedError, read_small_verified
from pipeline.storage.local import LocalStore
from pipeline.storage.parallel import in_parallel
from pipeline.storage.store import MissingKeyError, StorageError, Store

_FORMAT = "onesketch-selection/1"
_HASH_CHARS = 64


@dataclass(frozen=True)
class Selection:
    """Samples by shard: those of shard s are `samples[ends[s - 1] : ends[s]]`, in rising order."""

    ends: NDArray[np.int64]
    samples: NDArray[np.int64]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many samples of each shard there are."""
        return tuple(np.diff(self.ends, prepend=0).tolist())

    def of(self, shard: int) -> list[int]:
        """List the samples of one shard."""
        start = self.ends[shard - 1] if shard else 0
        chosen: list[int] = self.samples[start : self.ends[shard]].tolist()
        return chosen


def select_samples(
    store: Store, manifest: Manifest, manifest_sha256: str, where: Filter, cache: Path | None
) -> Selection:
    """Look up which samples match a filter.

    Args:
        cache: folder in which what was found is kept; None: nothing is.

    Raises:
        RefusedError: an index is not what the manifest says.
        FilterError: the filter names an unknown column or matches no pair.
        StorageError: the store or the cache fails.
    """
    if cache is None:
        return _look_up(store, manifest, where)
    asked = canonical.to_line([_FORMAT, manifest_sha256, where.text])
    name = f"{canonical.sha256(asked)}.selection"
    with _one_process_at_a_time(cache / f"{name}.lock"):
        kept = LocalStore(cache)
        with suppress(MissingKeyError):
            if found := _unpack(kept.read(name), manifest):
                return found
            kept.delete(name)  # it was damaged on the disk
        selection = _look_up(store, manifest, where)
        kept.create(name, _pack(selection))
        return selection


def _look_up(store: Store, manifest: Manifest, where: Filter) -> Selection:
    def select(record: ManifestShard) -> NDArray[np.int64]:
        if not record.pairs:
            return np.zeros(0, np.int64)
        try:
            table = read_index(read_small_verified(store, record.index), record.pairs)
            return _sample_indices(table, record)[where.matches(table)]
        except (ShardError, pa.ArrowException) as error:
            raise RefusedError(f"{store.url}/{record.index.name}: {error}") from error

    selected = list(in_parallel(select, manifest.shards))
    if not any(map(len, selected)):
        raise FilterError(
            f"filter {where.text!r} matches none of the {manifest.counts.committed} pairs of "
            f"{store.url}"
        )
    return Selection(np.cumsum(list(map(len, selected))), np.concatenate(selected))


def _sample_indices(table: pa.Table, record: ManifestShard) -> NDArray[np.int64]:
    """Return the samples that an index lists; ShardError unless they rise within its shard's."""
    if "index" not in table.column_names or table.schema.field("index").type != pa.int64():
        raise ShardError("it has no column of integers named 'index'")
    if table["index"].null_count:
        raise ShardError("its column 'index' has missing values")
    indices: NDArray[np.int64] = table["index"].to_numpy()
    if (np.diff(indices) <= 0).any() or indices[0] < record.first or indices[-1] > record.last:
        raise ShardError(
            f"its samples are not {record.first} to {record.last} in rising order, once each"
        )
    return indices


def _pack(selection: Selection) -> bytes:
    content = np.concatenate([selection.ends, selection.samples]).astype("<i8").tobytes()
    return canonical.sha256(content).encode() + content


def _unpack(data: bytes, manifest: Manifest) -> Selection | None:
    """Read what `_pack` returned; None if it is damaged."""
    content = data[_HASH_CHARS:]
    if canonical.sha256(content).encode() != data[:_HASH_CHARS]:
        return None
    numbers = np.frombuffer(content, "<i8").astype(np.int64)
    shards = len(manifest.shards)
    return Selection(numbers[:shards], numbers[shards:])


@contextmanager
def _one_process_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock file: the ranks of a node start together, and one of them is enough."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise StorageError(
            f"cannot write {lock}: {error.strerror}; choose another cache"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
