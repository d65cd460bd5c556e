"""A finished dataset, opened as untrusted input: anybody may have written it.

Only what the manifest lists is opened. A shard is hashed and its table of contents checked before
its first pair is decoded, and every member is hashed again when it is read. Nothing in a shard is
executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.index import read_metadata
from pipeline.dataset.manifest import Manifest, ManifestShard, read_hashed_manifest
from pipeline.dataset.tar import ShardError
from pipeline.filters import Filter
from pipeline.reading.cache import ShardCache
from pipeline.reading.checked_shard import (
    CheckedMember,
    CheckedSample,
    PixelPair,
    check_samples,
    decode_pair,
)
from pipeline.reading.selection import select_samples
from pipeline.reading.verified import RefusedError, read_verified
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store

_MAX_DIGITS = 9
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Contents of shards that are remembered, unless a reader needs more.
_KEPT_SHARDS = 128
EVERYTHING = Filter("")


@dataclass(frozen=True)
class PublishedPair:
    """One pair as it is stored: pictures that decode without error, and the sample's metadata."""

    index: int
    image: bytes
    sketch: bytes
    metadata: Mapping[str, Any]


class PublishedDataset:
    """Pairs of a dataset by shard and position, from a folder or, through a cache, from S3.

    With a filter, only the pairs that match it are there, and positions count these only.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        sha256: str,
        cache: ShardCache | None,
        where: Filter = EVERYTHING,
    ) -> None:
        self.manifest = manifest
        self.sha256 = sha256  # of the manifest, which fixes every shard
        self.store = store
        # Files of a local dataset are read where they are; others are copied first.
        self._cache = None if isinstance(store, LocalStore) else cache
        # Indices of the samples of each shard that match the filter.
        self._selected = None
        if where.columns:
            kept = self._cache.folder if self._cache else None
            self._selected = select_samples(store, manifest, sha256, where, kept)
        self._kept_shards = _KEPT_SHARDS
        self._contents: dict[int, list[CheckedSample]] = {}
        self._contents_lock = Lock()
        self._shard_locks = [Lock() for _ in manifest.shards]

    @classmethod
    def open(
        cls, url: str, cache: Path | None, where: str = "", cache_bytes: int | None = None
    ) -> PublishedDataset:
        """Open the dataset in a folder or at s3://bucket/prefix.

        Args:
            url: the dataset's address.
            cache: folder for local copies of remote shards; None keeps them in memory while they
                are read, which suits who reads each once.
            where: a filter; only pairs that match it are read.
            cache_bytes: most that the cache may take; without a limit it takes the whole dataset.

        Raises:
            ManifestError: the manifest is missing or broken.
            RefusedError: the manifest contradicts itself, or an index is not what it says.
            FilterError: the filter cannot be read, names an unknown column or matches no pair.
            StorageError: the store fails.
        """
        condition = Filter(where)
        store = open_store(url)
        manifest, sha256 = read_hashed_manifest(store)
        check_manifest(manifest, url)
        kept = ShardCache(cache, cache_bytes) if cache else None
        return cls(store, manifest, sha256, kept, condition)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of pairs in each shard."""
        if self._selected is not None:
            return self._selected.sizes
        return tuple(shard.pairs for shard in self.manifest.shards)

    def reserve(self, shards: int) -> None:
        """Make room for reading from so many shards at the same time, and from their successors.

        Raises:
            ValueError: the cache is too small for them.
        """
        # Neighbours in time overlap: what is read next is fetched before the last is done with.
        shards = min(2 * shards, len(self.manifest.shards))
        self._kept_shards = max(self._kept_shards, shards)
        limit_bytes = self._cache.limit_bytes if self._cache else None
        needed = shards * max(record.tar.size for record in self.manifest.shards)
        if limit_bytes is not None and limit_bytes < needed:
            raise ValueError(
                f"a cache of {readable_size(limit_bytes)}: expected at least "
                f"{readable_size(needed)}, for the {shards} shards that are read at the same time "
                "or next"
            )

    def prefetch(self, shard: int) -> None:
        """Fetch and check a shard, unless that is done: its pairs are then at hand.

        Raises:
            RefusedError: the shard is not what the manifest says.
            StorageError: the store fails.
        """
        self._checked(shard)

    def pair(self, shard: int, position: int) -> PixelPair:
        """Read one pair: image uint8 (H, W, 3), sketch uint8 (H, W) with 255 = paper.

        Raises:
            RefusedError: the pair or its shard is not what the manifest says.
            StorageError: the store fails.
        """
        sample = self._checked(shard)[position]
        try:
            members = (self._member(shard, member) for member in (sample.image, sample.sketch))
            return decode_pair(*members)
        except ShardError as error:
            raise RefusedError(f"{self._name(shard)}, {sample}: {error}") from error

    def stored_pairs(self, shard: int) -> Iterator[PublishedPair]:
        """Read all pairs of a shard in order, past the cache: for code that reads each shard once.

        Raises:
            RefusedError: a pair or the shard is not what the manifest says.
            StorageError: the store fails.
        """
        data = read_verified(self.store, self.manifest.shards[shard].tar)
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
        with self._shard_locks[shard]:
            contents = self._contents.get(shard)
            if contents is None:
                contents = self._check(shard, self._fetch(self.manifest.shards[shard]))
            self._remember(shard, contents)
            return contents

    def _remember(self, shard: int, contents: list[CheckedSample]) -> None:
        """Remember what was checked, for the latest shards only: datasets may have any size."""
        with self._contents_lock:
            self._contents.pop(shard, None)
            self._contents[shard] = contents  # the last one is what was used last
            while len(self._contents) > self._kept_shards:
                del self._contents[next(iter(self._contents))]

    def _check(self, shard: int, data: bytes) -> list[CheckedSample]:
        """Check a shard's table of contents; return the samples that match the filter."""
        record = self.manifest.shards[shard]
        try:
            samples = check_samples(record, data)
            if self._selected is None:
                return samples
            by_index = {sample.index: sample for sample in samples}
            selected = self._selected.of(shard)
            if missing := set(selected) - by_index.keys():
                raise ShardError(f"sample {min(missing)} is in its index but missing from the tar")
        except ShardError as error:
            raise RefusedError(f"{self._name(shard)}: {error}") from error
        return [by_index[index] for index in selected]

    def _fetch(self, record: ManifestShard) -> bytes:
        """Read a whole shard and verify it; keep a copy in the cache if the store is remote."""
        if self._cache is None:
            return read_verified(self.store, record.tar)
        return self._cache.read(record.tar, lambda: read_verified(self.store, record.tar))

    def _member(self, shard: int, member: CheckedMember) -> bytes:
        tar = self.manifest.shards[shard].tar
        start, length = member.offset, member.size
        if self._cache is None:
            data = self.store.read_range(tar.name, start, length)
        else:
            data = self._cache.read_range(
                tar, start, length, lambda: read_verified(self.store, tar)
            )
        if canonical.sha256(data) != member.sha256:
            raise ShardError("its bytes have changed since the shard was checked")
        return data

    def _name(self, shard: int) -> str:
        return f"{self.store.url}/{self.manifest.shards[shard].tar.name}"


def check_manifest(manifest: Manifest, url: str) -> None:
    """Check that the names, counts, sizes and hashes of a manifest are possible.

    Args:
        url: the dataset's address, for messages.

    Raises:
        RefusedError: the manifest contradicts itself or names files that no dataset has.
    """
    where = f"{url}/{layout.MANIFEST}"
    shards, last = manifest.shards, -1
    for record in shards:
        if not is_shard_name(record.tar.name):
            raise RefusedError(f"{where}: {record.tar.name[:80]!r} is not a shard's name")
        if record.index.name != layout.index_key(shard_number(record.tar.name)):
            raise RefusedError(
                f"{where}: {record.index.name[:80]!r} is not the name of {record.tar.name}'s index"
            )
        if not 0 <= record.pairs <= record.last - record.first + 1:
            raise RefusedError(
                f"{where}: {record.tar.name} cannot hold {record.pairs} pairs of the samples "
                f"{record.first} to {record.last}"
            )
        if record.first <= last:
            raise RefusedError(
                f"{where}: {record.tar.name} starts at sample {record.first}; expected "
                f"{last + 1} or later"
            )
        if not _is_plausible(record):
            raise RefusedError(
                f"{where}: impossible sizes, hashes or samples of {record.tar.name} or its index"
            )
        last = record.last
    pairs = sum(record.pairs for record in shards)
    if not pairs or pairs != manifest.counts.committed:
        raise RefusedError(
            f"{where}: its shards hold {pairs} pairs, but its count is {manifest.counts.committed}"
        )


def _is_plausible(record: ManifestShard) -> bool:
    """Tell whether hashes, which name files of the cache, are hashes and samples are in range."""
    files = (record.tar, record.index)
    hashes = all(_SHA256.fullmatch(file.sha256) and file.size >= 0 for file in files)
    return hashes and record.last < layout.MAX_SAMPLES


def is_shard_name(name: str) -> bool:
    """Tell whether a name is a shard's, and not a path to some other file."""
    digits = name.removeprefix(layout.SHARDS).removesuffix(".tar")
    short = len(digits) <= _MAX_DIGITS and digits.isascii() and digits.isdecimal()
    return short and name == layout.shard_key(int(digits))


def shard_number(name: str) -> int:
    """Return the number of the shard with a name that was checked."""
    return int(name.removeprefix(layout.SHARDS).removesuffix(".tar"))
