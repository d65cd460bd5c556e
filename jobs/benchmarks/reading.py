"""Benchmark `read`: one epoch of the training reader, against what others would read with.

Loose PNG files are read in the same order and batches, with as many threads, as far ahead. The
other peers are used as their users do: shuffled, decoded in as many worker processes.
"""

from __future__ import annotations

import importlib.metadata
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    check_empty,
    ratios,
    take_turns,
    take_turns_of,
)
from jobs.benchmarks.peers.loose_files import decoded, loose_batches, write_loose_files
from jobs.benchmarks.peers.mosaic_streaming import mosaic_batches, write_mosaic
from jobs.benchmarks.peers.shard_readers import hugging_face_batches, webdataset_batches
from jobs.benchmarks.peers.shard_urls import shard_urls
from jobs.benchmarks.standins.pictures import photograph_pairs, plan_for
from pipeline.arrays import Pixels
from pipeline.dataset import layout
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.manifest import read_hashed_manifest, read_manifest
from pipeline.dataset.plan import write_or_check
from pipeline.images.write import png_bytes
from pipeline.pair import Pair
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.reading.cache import ShardCache
from pipeline.reading.checked_shard import decode_pair
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order, slots_of
from pipeline.reading.reader import Reader
from pipeline.storage.address import is_address, open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store

_SIDE = 512
_NUM_PAIRS = 256
_SHARD_SIZE = 32
_BATCH = 8
_THREADS = 2
_RANKS = (1, 2, 4)
_AMPLIFICATION_SHARDS, _AMPLIFICATION_BATCH = 64, 16

Epoch = Callable[[], Iterator[tuple[Pixels, Pixels]]]


@dataclass(frozen=True)
class Place:
    """Where the same pairs lie in every form: ours, loose files, MDS."""

    name: str
    address: str
    shard_size: int

    @property
    def dataset(self) -> str:
        """The address of our dataset."""
        return f"{self.address}/dataset"

    @property
    def loose(self) -> str:
        """The address of loose files."""
        return f"{self.address}/loose"

    @property
    def mosaic(self) -> str:
        """The address of MDS shards."""
        return f"{self.address}/mosaic"

    def write(self, pairs: Sequence[Pair]) -> None:
        """Write the pairs in every form whose package is there."""
        store = open_store(self.dataset)
        plan = write_or_check(store, plan_for(len(pairs), self.shard_size, _BATCH))
        for shard in range(plan.num_shards):
            inside = [pairs[index] for index in plan.indices(shard)]
            publish(store, plan, shard, [encode_pair(pair) for pair in inside])
        complete(store, plan)
        write_loose_files(open_store(self.loose), pairs)
        if _version("mosaicml-streaming"):
            shard_bytes = max(entry.size for entry in store.entries(layout.SHARDS))
            with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
                write_mosaic(Path(temp) / "mds", open_store(self.mosaic), pairs, shard_bytes)


def measure_read(effort: Effort) -> BenchmarkResult:
    """Read an epoch from a folder and, where `effort.far` is an empty s3 address, from there too.

    Each round opens everything anew, with empty caches: hashing and checking our shards is part of
    the time, and so are copies of far ones and the start of the peers' processes.
    """
    side, count, shard_size = (64, 16, 8) if effort.tiny else (_SIDE, _NUM_PAIRS, _SHARD_SIZE)
    pairs = photograph_pairs(count, side)
    scores: list[BenchmarkScore] = []
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        places = [Place("local", str(Path(temp) / "near"), shard_size)]
        if effort.far:
            places.append(Place("S3", effort.far, shard_size))
        for place in places:
            check_empty(place.address)
            place.write(pairs)
            found = take_turns_of(
                {name: _reads_all(epoch, count) for name, epoch in _sides(place).items()},
                effort.rounds,
            )
            scores += _comparisons(place, found)
            seconds |= {f"{place.name}, {name}": times for name, times in found.items()}
    return BenchmarkResult(
        workload=f"one epoch of {count} pairs of {side} px, {shard_size} a shard, shuffled, in "
        f"batches of {_BATCH}, {_THREADS} threads: the dataset is opened, hashed, read and decoded",
        peer=f"the same pairs as loose PNG files (same order and threads); by webdataset and HF "
        f"datasets from our shards, by MosaicML streaming from its own, with {_THREADS} worker "
        "processes each (from S3 MosaicML with one: two read shards that are not whole yet)",
        scores=(*scores, *_amplifications(effort)),
        seconds=seconds,
        metadata={"pairs": count, "threads": _THREADS}
        | {name: _version(name) or _NOT_INSTALLED for name in _PACKAGES}
        | _decoding(pairs[:56], effort),
    )


_PACKAGES = ("webdataset", "datasets", "mosaicml-streaming")
_NOT_INSTALLED = "not installed, so not measured (infra/benchmarks/README.md)"


def _version(package: str) -> str | None:
    """Return a package's version; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sides(place: Place) -> dict[str, Epoch]:
    """List the readers of a place, ours first; those whose package is missing are left out."""
    urls = shard_urls(place.dataset)
    sides: dict[str, Epoch] = {
        "ours": partial(_our_batches, place),
        "loose PNG": partial(_loose_epoch, place),
        "webdataset": partial(webdataset_batches, urls, _BATCH, _THREADS),
    }
    if _version("datasets"):
        sides["HF datasets"] = partial(hugging_face_batches, urls, _BATCH, _THREADS)
    if _version("mosaicml-streaming"):
        sides["MosaicML streaming"] = partial(_mosaic_epoch, place)
    return sides


def _our_batches(place: Place) -> Iterator[tuple[Pixels, Pixels]]:
    with tempfile.TemporaryDirectory(prefix="onesketch-cache-") as cache:
        dataset = PublishedDataset.open(place.dataset, Path(cache))
        order = Order(dataset.sizes, _BATCH, seed=0)
        yield from Reader(dataset, order, flip=False, threads=_THREADS).batches(0, order.steps)


def _loose_epoch(place: Place) -> Iterator[tuple[Pixels, Pixels]]:
    order = Order(_sizes(place), _BATCH, seed=0)
    yield from loose_batches(open_store(place.loose), order, _THREADS)


def _mosaic_epoch(place: Place) -> Iterator[tuple[Pixels, Pixels]]:
    with tempfile.TemporaryDirectory(prefix="onesketch-cache-") as cache:
        # Of two processes one reads far shards that the other has not written to their end.
        workers = 1 if is_address(place.address) else _THREADS
        yield from mosaic_batches(place.mosaic, Path(cache), _BATCH, workers)


def _sizes(place: Place) -> tuple[int, ...]:
    return tuple(shard.pairs for shard in read_manifest(open_store(place.dataset)).shards)


def _reads_all(epoch: Epoch, count: int) -> Callable[[], None]:
    """Return a call that reads an epoch to its end, and checks that it was all of it."""

    def read() -> None:
        seen = 0
        for images, sketches in epoch():
            assert images.shape[:3] == sketches.shape
            seen += len(images)
        assert seen == count, f"{seen} pairs of {count}"

    return read


def _comparisons(place: Place, found: Mapping[str, Sequence[float]]) -> list[BenchmarkScore]:
    ours_s = found["ours"]
    return [
        BenchmarkScore(
            f"times as fast as {name}, {place.name}",
            ratios(times, ours_s),
            2.0 if (name, place.name) == ("loose PNG", "S3") else 1.0,
            at_least=True,
        )
        for name, times in found.items()
        if name != "ours"
    ]


def _amplifications(effort: Effort) -> Iterator[BenchmarkScore]:
    """Count how often all ranks together fetch a shard, each with a cache of its own."""
    shards, size = (8, 8) if effort.tiny else (_AMPLIFICATION_SHARDS, 32)
    pairs = photograph_pairs(shards * size, 16)
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        place = Place("small", temp, size)
        place.write(pairs)
        for ranks in _RANKS:
            fetched = sum(_fetches(place, rank, ranks) for rank in range(ranks))
            name = f"fetches of a shard an epoch, {ranks} ranks"
            yield BenchmarkScore(name, (fetched / shards,), 1.1, at_least=False)


class _FarStore:
    """A folder as if it were far away, which counts the shards that are fetched from it."""

    def __init__(self, address: str) -> None:
        self.inner, self.fetched = LocalStore(Path(address)), 0

    def read(self, key: str) -> bytes:
        """Fetch an object."""
        self.fetched += key.startswith(layout.SHARDS)
        return self.inner.read(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _fetches(place: Place, rank: int, ranks: int) -> int:
    """Count the shards that a rank fetches in an epoch, with a cache as small as it may be."""
    store = _FarStore(place.dataset)
    manifest, sha256 = read_hashed_manifest(store.inner)
    order = Order(_sizes(place), _AMPLIFICATION_BATCH, seed=0)
    most = order.shards_in_use(len(slots_of(rank, ranks, _AMPLIFICATION_BATCH)))
    room = min(2 * most, len(manifest.shards)) * max(shard.tar.size for shard in manifest.shards)
    with tempfile.TemporaryDirectory(prefix="onesketch-cache-") as folder:
        cache = ShardCache(Path(folder), room)
        dataset = PublishedDataset(cast(Store, store), manifest, sha256, cache)
        for _ in Reader(dataset, order, False, _THREADS, rank, ranks).batches(0, order.steps):
            pass
    return store.fetched


def _decoding(pairs: Sequence[Pair], effort: Effort) -> dict[str, float]:
    """Time what the formats themselves take to decode: the lower limit for any reader."""
    ours = [encode_pair(pair) for pair in pairs]
    peer = [(png_bytes(pair.image), png_bytes(pair.sketch)) for pair in pairs]
    ours_s, peer_s = take_turns(
        lambda: [decode_pair(pair.image, pair.sketch) for pair in ours],
        lambda: [(decoded(image), decoded(sketch)) for image, sketch in peer],
        effort.rounds,
        time.thread_time,
    )
    return {
        "decoding_alone_ms_a_pair_ours": statistics.median(ours_s) / len(pairs) * 1e3,
        "decoding_alone_ms_a_pair_peer": statistics.median(peer_s) / len(pairs) * 1e3,
    }
