"""Benchmark `read`: one epoch of the training reader, against a folder of loose PNG files.

Both sides read the same pairs in the same order and batches, with as many threads, as far ahead.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    check_empty,
    ratios,
    take_turns,
)
from jobs.benchmarks.standins.pictures import photograph_pairs, plan_for
from pipeline.arrays import Pixels
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.plan import write_or_check
from pipeline.images.write import png_bytes
from pipeline.pair import Pair
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.reading.checked_shard import decode_pair
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import AHEAD, Reader
from pipeline.storage.address import open_store
from pipeline.storage.store import Store

_SIDE = 512
_NUM_PAIRS = 56
_SHARD_SIZE = 28
_BATCH = 8
_THREADS = 2


def measure_read(effort: Effort) -> BenchmarkResult:
    """Read an epoch from a folder and, where `effort.far` is an empty s3 address, from there too.

    Each round opens the dataset anew: hashing and checking its shards is part of the time, and so
    is the copy of a far one into an empty cache.
    """
    side, count, shard_size = (64, 16, 8) if effort.tiny else (_SIDE, _NUM_PAIRS, _SHARD_SIZE)
    pairs = photograph_pairs(count, side)
    scores: list[BenchmarkScore] = []
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        places = {"local": str(Path(temp) / "near")} | ({"S3": effort.far} if effort.far else {})
        for place, address in places.items():
            check_empty(address)
            order = _write(address, pairs, shard_size)
            ours_s, peer_s = take_turns(
                _reader(address, order), _loose_reader(address, order), effort.rounds
            )
            name = f"times as fast, {place}"
            scores.append(BenchmarkScore(name, ratios(peer_s, ours_s), 2.0, at_least=True))
            seconds |= {f"{place}, ours": ours_s, f"{place}, peer": peer_s}
    return BenchmarkResult(
        workload=f"one epoch of {count} pairs of {side} px in batches of {_BATCH}, {_THREADS} "
        "threads: the dataset is opened, hashed, read and decoded",
        peer="the same pairs as loose PNG files (Pillow's defaults), same order and threads",
        scores=tuple(scores),
        seconds=seconds,
        metadata={"pairs": count, "threads": _THREADS} | _decoding(pairs, effort),
    )


def _decoding(pairs: Sequence[Pair], effort: Effort) -> dict[str, float]:
    """Time what the formats themselves take to decode: the lower limit for any reader."""
    ours = [encode_pair(pair) for pair in pairs]
    peer = [(png_bytes(pair.image), png_bytes(pair.sketch)) for pair in pairs]
    ours_s, peer_s = take_turns(
        lambda: [decode_pair(pair.image, pair.sketch) for pair in ours],
        lambda: [(_decoded(image), _decoded(sketch)) for image, sketch in peer],
        effort.rounds,
        time.thread_time,
    )
    return {
        "decoding_alone_ms_a_pair_ours": statistics.median(ours_s) / len(pairs) * 1e3,
        "decoding_alone_ms_a_pair_peer": statistics.median(peer_s) / len(pairs) * 1e3,
    }


def _write(address: str, pairs: Sequence[Pair], shard_size: int) -> Order:
    """Write a dataset and, beside it, its loose files."""
    store = open_store(f"{address}/dataset")
    plan = write_or_check(store, plan_for(len(pairs), shard_size, _BATCH))
    for shard in range(plan.num_shards):
        inside = [pairs[index] for index in plan.indices(shard)]
        publish(store, plan, shard, [encode_pair(pair) for pair in inside])
    complete(store, plan)
    loose = open_store(f"{address}/loose")
    for pair in pairs:
        loose.create(f"{pair.index:05d}.image.png", png_bytes(pair.image))
        loose.create(f"{pair.index:05d}.sketch.png", png_bytes(pair.sketch))
    sizes = tuple(len(plan.indices(shard)) for shard in range(plan.num_shards))
    return Order(sizes, _BATCH, seed=0)


def _reader(address: str, order: Order) -> Callable[[], None]:
    def read() -> None:
        with tempfile.TemporaryDirectory(prefix="onesketch-cache-") as cache:
            dataset = PublishedDataset.open(f"{address}/dataset", Path(cache))
            reader = Reader(dataset, order, flip=False, threads=_THREADS)
            for _ in reader.batches(0, order.steps):
                pass

    return read


def _loose_reader(address: str, order: Order) -> Callable[[], None]:
    store = open_store(f"{address}/loose")

    def read() -> None:
        for _ in _loose_batches(store, order):
            pass

    return read


def _loose_batches(store: Store, order: Order) -> Iterator[tuple[Pixels, Pixels]]:
    """Read as `Reader` does, from loose files."""
    waiting: deque[list[Future[tuple[Pixels, Pixels]]]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for step in range(order.steps + AHEAD):
            if step < order.steps:
                indices = [shard * order.sizes[0] + place for shard, place in order.places(step)]
                waiting.append([pool.submit(_loose_pair, store, index) for index in indices])
            if step >= AHEAD:
                images, sketches = zip(
                    *(future.result() for future in waiting.popleft()), strict=True
                )
                yield np.stack(images), np.stack(sketches)


def _loose_pair(store: Store, index: int) -> tuple[Pixels, Pixels]:
    image, sketch = (
        _decoded(store.read(f"{index:05d}.{name}.png")) for name in ("image", "sketch")
    )
    return image, sketch


def _decoded(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)))
