"""A finished dataset, opened with suspicion: others may have written it.

Only what the manifest lists is opened; a shard is hashed and its table of contents checked before
the first pair is decoded, and each member again when it is read. Nothing in a shard is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.commit import StoredFile
from pipeline.dataset.index import read_index, read_metadata
from pipeline.dataset.manifest import Manifest, ManifestShard, read_manifest
from pipeline.dataset.tar import ShardError
from pipeline.filters import Filter, FilterError
from pipeline.reading.cache import ShardCache
from pipeline.reading.checked_shard import CheckedMember, CheckedSample, check_samples, decode_pair
from pipeline.reading.order import WINDOW_SHARDS
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store

# Indices are small: most of the time goes by waiting for the store.
_INDEX_READERS = 16
_MAX_DIGITS = 9
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Twice what is shuffled together, so that two windows can overlap.
_KEPT_SHARDS = 2 * WINDOW_SHARDS
EVERYTHING = Filter("")


class RefusedError(ValueError):
    """A dataset, shard or pair that is not what its manifest says; named, with the reason."""


@dataclass(frozen=True)
class PublishedPair:
    """One pair as it is stored: pictures, decoded once as a test, and the sample's metadata."""

    index: int
    image: bytes
    sketch: bytes
    metadata: Mapping[str, Any]


class PublishedDataset:
    """Pairs of a dataset by shard and position, from a folder or, through a cache, from s3.

    With a filter they are those that it holds for; positions count these only.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        sha256: str,
        cache: ShardCache,
        where: Filter = EVERYTHING,
    ) -> None:
        self.manifest = manifest
        self.sha256 = sha256  # of the manifest: pins every shard
        self.store = store
        self._chosen = _choose(store, manifest, where) if where.columns else None
        # Files of a local dataset are read where they lie; others are copied first.
        self._cache = None if isinstance(store, LocalStore) else cache
        if self._cache and self._cache.limit_bytes is not None:
            _check_room(manifest, self._cache.limit_bytes)
        self._contents: dict[int, list[CheckedSample]] = {}
        self._keeping = Lock()
        self._locks = [Lock() for _ in manifest.shards]

    @classmethod
    def open(
        cls, url: str, cache: Path, where: str = "", cache_bytes: int | None = None
    ) -> PublishedDataset:
        """Open the dataset at a folder or s3://bucket/prefix.

        Args:
            cache: a folder that keeps shards of the latter.
            where: only pairs for which this holds.
            cache_bytes: most that the cache may take; all of the dataset if there is no limit.

        Raises ManifestError without a readable manifest, StorageError from the store,
        RefusedError on a manifest that contradicts itself, FilterError where `where` is no filter
        for its columns or holds for no pair, ValueError where the cache is too small to read from.
        """
        condition = Filter(where)
        store = open_store(url)
        manifest = read_manifest(store)
        check_manifest(manifest, url)
        sha256 = canonical.sha256(manifest.to_bytes())
        return cls(store, manifest, sha256, ShardCache(cache, cache_bytes), condition)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pairs in each shard."""
        if self._chosen is not None:
            return tuple(map(len, self._chosen))
        return tuple(shard.pairs for shard in self.manifest.shards)

    def pair(self, shard: int, position: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read one pair: image uint8 (H, W, 3), sketch uint8 (H, W) with 255 = paper.

        Raises RefusedError that names shard and sample.
        """
        sample = self._checked(shard)[position]
        try:
            members = (self._member(shard, member) for member in (sample.image, sample.sketch))
            return decode_pair(*members)
        except ShardError as error:
            raise RefusedError(f"{self._name(shard)}, {sample}: {error}") from error

    def stored_pairs(self, shard: int) -> Iterator[PublishedPair]:
        """Read all pairs of a shard at once, past the cache; for what reads each shard once.

        Raises RefusedError that names shard and sample.
        """
        data = _verified(self.manifest.shards[shard].tar, self.store)
        for sample in self._check(shard, data):
            image, sketch, metadata = (
                data[member.offset : member.offset + member.size]
                for member in (sample.image, sample.sketch, sample.metadata)
            )
            try:
                decode_pair(image, sketch)
                columns = read_metadata(metadata, sample.index)
            except ShardError as error:
                raise RefusedError(f"{self._name(shard)}, {sample}: {error}") from error
            yield PublishedPair(sample.index, image, sketch, columns)

    def _checked(self, shard: int) -> list[CheckedSample]:
        with self._locks[shard]:
            contents = self._contents.get(shard)
            if contents is None:
                contents = self._check(shard, self._fetch(self.manifest.shards[shard]))
                self._keep(shard, contents)
            return contents

    def _keep(self, shard: int, contents: list[CheckedSample]) -> None:
        """Remember what was checked, of the latest shards only: datasets may have any size."""
        with self._keeping:
            self._contents[shard] = contents
            while len(self._contents) > _KEPT_SHARDS:
                del self._contents[next(iter(self._contents))]

    def _check(self, shard: int, data: bytes) -> list[CheckedSample]:
        """Check a shard's table of contents; give the samples that are read of it."""
        record = self.manifest.shards[shard]
        try:
            samples = check_samples(record, data)
            if self._chosen is None:
                return samples
            by_index = {sample.index: sample for sample in samples}
            if strangers := set(self._chosen[shard]) - by_index.keys():
                raise ShardError(f"sample {min(strangers)} of its index is not in it")
        except ShardError as error:
            raise RefusedError(f"{self._name(shard)}: {error}") from error
        return [by_index[index] for index in self._chosen[shard]]

    def _fetch(self, record: ManifestShard) -> bytes:
        """Whole shard, verified; a copy goes into the cache if the store is far."""
        if self._cache is None:
            return _verified(record.tar, self.store)
        return self._cache.whole(record.tar, lambda: _verified(record.tar, self.store))

    def _member(self, shard: int, member: CheckedMember) -> bytes:
        tar, place = self.manifest.shards[shard].tar, (member.offset, member.size)
        if self._cache is None:
            data = self.store.read_range(tar.name, *place)
        else:
            data = self._cache.part(tar, *place, lambda: _verified(tar, self.store))
        if canonical.sha256(data) != member.sha256:
            raise ShardError("its bytes have changed since the shard was checked")
        return data

    def _name(self, shard: int) -> str:
        return f"{self.store.url}/{self.manifest.shards[shard].tar.name}"


def check_manifest(manifest: Manifest, url: str) -> None:
    """Refuse a manifest whose names or counts cannot be those of a dataset: RefusedError."""
    where = f"{url}/{layout.MANIFEST}"
    shards, last = manifest.shards, -1
    for record in shards:
        if not is_shard_name(record.tar.name):
            raise RefusedError(f"{where}: {record.tar.name[:80]!r} is no name of a shard")
        if record.index.name != layout.index_key(shard_number(record.tar.name)):
            raise RefusedError(f"{where}: {record.index.name[:80]!r} is no name of its index")
        if not 0 <= record.pairs <= record.last - record.first + 1 or record.first <= last:
            raise RefusedError(
                f"{where}: {record.tar.name} with {record.pairs} pairs of samples "
                f"{record.first} to {record.last} cannot be"
            )
        if not _can_be(record):
            raise RefusedError(
                f"{where}: sizes, hashes or samples of {record.tar.name} and its index cannot be"
            )
        last = record.last
    pairs = sum(record.pairs for record in shards)
    if not pairs or pairs != manifest.counts.committed:
        raise RefusedError(
            f"{where}: its shards hold {pairs} pairs, its count says {manifest.counts.committed}"
        )


def _can_be(record: ManifestShard) -> bool:
    """Whether hashes are hashes, which name files of the cache, and numbers those of samples."""
    files = (record.tar, record.index)
    hashes = all(_SHA256.fullmatch(file.sha256) and file.size >= 0 for file in files)
    return hashes and record.last < layout.MAX_SAMPLES


def _check_room(manifest: Manifest, cache_bytes: int) -> None:
    together = min(WINDOW_SHARDS + 1, len(manifest.shards))
    needed = together * max(record.tar.size for record in manifest.shards)
    if cache_bytes < needed:
        raise ValueError(
            f"a cache of {readable_size(cache_bytes)}: expected at least {readable_size(needed)}, "
            f"for the {together} shards that are shuffled together"
        )


def is_shard_name(name: str) -> bool:
    """Whether a name is one that shards have: no path that leads elsewhere."""
    digits = name.removeprefix(layout.SHARDS).removesuffix(".tar")
    short = len(digits) <= _MAX_DIGITS and digits.isascii() and digits.isdecimal()
    return short and name == layout.shard_key(int(digits))


def shard_number(name: str) -> int:
    """Number of the shard that a checked name stands for."""
    return int(name.removeprefix(layout.SHARDS).removesuffix(".tar"))


def _choose(store: Store, manifest: Manifest, where: Filter) -> list[list[int]]:
    """Look up in the indices which samples of each shard a filter holds for."""

    def choose(record: ManifestShard) -> list[int]:
        if not record.pairs:
            return []
        name = f"{store.url}/{record.index.name}"
        try:
            table = read_index(_verified(record.index, store), record.pairs)
            return _sample_indices(table, record)[where.holds(table)].tolist()
        except (ShardError, pa.ArrowException) as error:
            raise RefusedError(f"{name}: {error}") from error

    with ThreadPoolExecutor(_INDEX_READERS) as pool:
        chosen = list(pool.map(choose, manifest.shards))
    if not any(chosen):
        raise FilterError(
            f"filter {where.text!r} holds for none of the {manifest.counts.committed} pairs of "
            f"{store.url}"
        )
    return chosen


def _sample_indices(table: pa.Table, record: ManifestShard) -> NDArray[np.int64]:
    """Samples that an index speaks of; ShardError unless they rise within its shard's."""
    if "index" not in table.column_names or table.schema.field("index").type != pa.int64():
        raise ShardError("it has no column of integers named 'index'")
    if table["index"].null_count:
        raise ShardError("its column 'index' has gaps")
    found: NDArray[np.int64] = table["index"].to_numpy()
    if (np.diff(found) <= 0).any() or found[0] < record.first or found[-1] > record.last:
        raise ShardError(
            f"its samples are not {record.first} to {record.last} in rising order, once each"
        )
    return found


def _verified(file: StoredFile, store: Store) -> bytes:
    size_bytes = store.size(file.name)
    if size_bytes != file.size:
        raise RefusedError(
            f"{store.url}/{file.name}: expected {file.size} bytes, found "
            f"{size_bytes}; fetch or generate it again"
        )
    data = store.read(file.name)
    if canonical.sha256(data) != file.sha256:
        raise RefusedError(
            f"{store.url}/{file.name}: its SHA-256 is not the manifest's: the file "
            "was damaged or changed; fetch or generate it again"
        )
    return data
