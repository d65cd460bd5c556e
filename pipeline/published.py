"""A finished dataset, opened with suspicion: others may have written it.

Only what the manifest lists is opened; a shard is hashed and its table of contents checked before
the first pair is decoded, and each member again when it is read. Nothing in a shard is executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pipeline import canonical, layout
from pipeline.decoding import decode_image, decode_sketch
from pipeline.manifest import Manifest, ManifestShard, read_manifest
from pipeline.shards import Member, ShardError, list_members
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store


class RefusedError(ValueError):
    """A dataset, shard or pair that is not what its manifest says; named, with the reason."""


@dataclass(frozen=True)
class CheckedMember:
    """Where a picture lies in its shard, in bytes, and its SHA-256 when the shard was checked."""

    offset: int
    size: int
    sha256: str


@dataclass(frozen=True)
class CheckedSample:
    """One sample of a checked shard."""

    index: int
    image: CheckedMember
    sketch: CheckedMember


class PublishedDataset:
    """Pairs of a dataset by shard and position, from a folder or, through a cache, from s3."""

    def __init__(self, store: Store, manifest: Manifest, sha256: str, cache: Path) -> None:
        self.manifest = manifest
        self.sha256 = sha256  # of the manifest: pins every shard
        self.store = store
        # Files of a local dataset are read where they lie; others are copied once.
        self._local = store if isinstance(store, LocalStore) else LocalStore(cache)
        self._contents: dict[int, list[CheckedSample]] = {}
        self._locks = [Lock() for _ in manifest.shards]

    @classmethod
    def open(cls, url: str, cache: Path) -> PublishedDataset:
        """Open the dataset at a folder or s3://bucket/prefix; `cache` keeps shards of the latter.

        Raises ManifestError without a readable manifest, StorageError from the store,
        RefusedError on a manifest that contradicts itself.
        """
        store = open_store(url)
        manifest = read_manifest(store)
        check_manifest(manifest, url)
        return cls(store, manifest, canonical.sha256(manifest.to_bytes()), cache)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pairs in each shard."""
        return tuple(shard.pairs for shard in self.manifest.shards)

    def pair(self, shard: int, position: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read one pair: image uint8 (H, W, 3), sketch uint8 (H, W) with 255 = paper.

        Raises RefusedError that names shard and sample.
        """
        sample = self._checked(shard)[position]
        name = f"{self._name(shard)}, sample {layout.sample_key(sample.index)}"
        try:
            image = decode_image(self._member(shard, sample.image))
            sketch = decode_sketch(self._member(shard, sample.sketch))
        except ShardError as error:
            raise RefusedError(f"{name}: {error}") from error
        if image.shape[:2] != sketch.shape:
            raise RefusedError(
                f"{name}: image of {image.shape[1]} x {image.shape[0]} pixels, "
                f"sketch of {sketch.shape[1]} x {sketch.shape[0]}"
            )
        return image, sketch

    def _checked(self, shard: int) -> list[CheckedSample]:
        with self._locks[shard]:
            if shard not in self._contents:
                self._contents[shard] = self._check(shard)
            return self._contents[shard]

    def _check(self, shard: int) -> list[CheckedSample]:
        record = self.manifest.shards[shard]
        data = self._fetch(record)
        try:
            members = list_members(data)
            samples = _samples(data, members)
        except ShardError as error:
            raise RefusedError(f"{self._name(shard)}: {error}") from error
        wrong = [s.index for s in samples if not record.first <= s.index <= record.last]
        if wrong:
            raise RefusedError(
                f"{self._name(shard)}: sample {wrong[0]} is none of its own "
                f"({record.first} to {record.last})"
            )
        if len(samples) != record.pairs:
            raise RefusedError(
                f"{self._name(shard)}: expected {record.pairs} pairs, found {len(samples)}"
            )
        return samples

    def _fetch(self, record: ManifestShard) -> bytes:
        """Whole shard, verified; a copy goes into the cache if the store is far."""
        tar = record.tar
        if self._local is self.store:
            return _verified(record, self.store)
        cached = f"{tar.sha256}.tar"
        if self._local.exists(cached):
            data = self._local.read(cached)
            if canonical.sha256(data) == tar.sha256:
                return data
            self._local.delete(cached)  # spoilt on the disk since
        data = _verified(record, self.store)
        self._local.create(cached, data)
        return data

    def _member(self, shard: int, member: CheckedMember) -> bytes:
        tar = self.manifest.shards[shard].tar
        key = tar.name if self._local is self.store else f"{tar.sha256}.tar"
        data = self._local.read_range(key, member.offset, member.size)
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
        if not 0 < record.pairs <= record.last - record.first + 1 or record.first <= last:
            raise RefusedError(
                f"{where}: {record.tar.name} with {record.pairs} pairs of samples "
                f"{record.first} to {record.last} cannot be"
            )
        last = record.last
    if not shards or sum(record.pairs for record in shards) != manifest.counts.committed:
        raise RefusedError(
            f"{where}: its shards hold {sum(s.pairs for s in shards)} pairs, its "
            f"count says {manifest.counts.committed}"
        )


def is_shard_name(name: str) -> bool:
    """Whether a name is one that shards have: no path that leads elsewhere."""
    digits = name.removeprefix(layout.SHARDS).removesuffix(".tar")
    return digits.isascii() and digits.isdecimal() and name == layout.shard_key(int(digits))


def _verified(record: ManifestShard, store: Store) -> bytes:
    tar = record.tar
    size_bytes = store.size(tar.name)
    if size_bytes != tar.size:
        raise RefusedError(
            f"{store.url}/{tar.name}: expected {tar.size} bytes, found "
            f"{size_bytes}; fetch or generate it again"
        )
    data = store.read(tar.name)
    if canonical.sha256(data) != tar.sha256:
        raise RefusedError(
            f"{store.url}/{tar.name}: its SHA-256 is not the manifest's: the file "
            "was damaged or changed; fetch or generate it again"
        )
    return data


def _samples(data: bytes, members: list[Member]) -> list[CheckedSample]:
    width = len(layout.SUFFIXES)
    samples = []
    for start in range(0, len(members), width):
        by_suffix = {member.suffix: member for member in members[start : start + width]}
        image, sketch = (
            _checked_member(data, by_suffix[suffix])
            for suffix in (layout.IMAGE_SUFFIX, layout.SKETCH_SUFFIX)
        )
        samples.append(CheckedSample(members[start].index, image, sketch))
    return samples


def _checked_member(data: bytes, member: Member) -> CheckedMember:
    content = data[member.offset : member.offset + member.size]
    return CheckedMember(member.offset, member.size, canonical.sha256(content))
