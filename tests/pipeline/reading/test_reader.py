"""Batches by rank: the same steps for any number of ranks and threads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from pipeline.reading.cache import ShardCache
from pipeline.reading.checked_shard import PixelPair
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import AHEAD, Reader
from pipeline.storage.local import LocalStore
from tests.standins.published_blobs import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PublishedDataset:
    folder = tmp_path_factory.mktemp("reader")
    return PublishedDataset.open(write_dataset(folder / "dataset"), folder / "cache")


def read(
    dataset: PublishedDataset,
    start: int = 0,
    *,
    flip: bool = True,
    threads: int = 2,
    rank: int = 0,
    ranks: int = 1,
) -> list[PixelPair]:
    order = Order(dataset.sizes, batch=6, seed=1)
    reader = Reader(dataset, order, flip, threads, rank, ranks)
    return list(reader.batches(start, 2 * order.steps))


def test_ranks_share_each_batch_as_evenly_as_can_be(dataset: PublishedDataset) -> None:
    whole = read(dataset)
    assert len(whole) == 6 and whole[0][0].shape == (6, 32, 32, 3)
    for ranks in (2, 3, 4, 5, 6):
        parts = [read(dataset, rank=rank, ranks=ranks, threads=rank + 1) for rank in range(ranks)]
        shares = {len(part[0][0]) for part in parts}
        assert max(shares) - min(shares) <= 1
        for step, (images, sketches) in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([p[step][0] for p in parts]), images)
            np.testing.assert_array_equal(np.concatenate([p[step][1] for p in parts]), sketches)


def test_reading_can_start_anywhere(dataset: PublishedDataset) -> None:
    whole = read(dataset)
    for start in (1, 3, 5):
        for (images, _), (expected, _) in zip(read(dataset, start), whole[start:], strict=True):
            np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("where", ["", "cdst_step >= 11 and cdst_step != 17"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_ranks_have_equal_steps_whatever_is_filtered(
    dataset: PublishedDataset, tmp_path: Path, where: str, ranks: int
) -> None:
    filtered = PublishedDataset.open(dataset.store.url, tmp_path, where)
    sizes = filtered.sizes
    counts = {
        len(read(filtered, rank=rank, ranks=ranks, threads=1 + rank)) for rank in range(ranks)
    }
    assert counts == {2 * (sum(sizes) // 6)}
    assert sum(sizes) == (10 if where else 22) and (sizes[0] == 0) == bool(where)


def test_mirrored_pairs_are_mirrored_together(dataset: PublishedDataset) -> None:
    straight, flipped = read(dataset, flip=False), read(dataset, flip=True)
    mirrored = 0
    for (images, sketches), (images_f, sketches_f) in zip(straight, flipped, strict=True):
        for n in range(6):
            if not np.array_equal(images[n], images_f[n]):
                mirrored += 1
                np.testing.assert_array_equal(images_f[n], images[n][:, ::-1])
                np.testing.assert_array_equal(sketches_f[n], sketches[n][:, ::-1])
    assert 0 < mirrored < 36


def test_more_ranks_than_pairs_are_refused(dataset: PublishedDataset) -> None:
    with pytest.raises(ValueError, match="one pair for each of the 7 workers.*got 6"):
        read(dataset, ranks=7)


@dataclass(frozen=True)
class CountingStore(LocalStore):
    """A folder that counts how often each of its shards is read whole."""

    whole_reads: Counter[str] = field(default_factory=Counter)

    def read(self, key: str) -> bytes:
        self.whole_reads[key] += key.endswith(".tar")
        return super().read(key)


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 shards of 6 pairs of 16 pixels."""
    return Path(write_dataset(tmp_path_factory.mktemp("many") / "dataset", 480, 6, side=16))


@pytest.mark.parametrize("window", [16, 64])
@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_a_cluster_fetches_each_shard_about_once_an_epoch(
    many_shards: Path, tmp_path: Path, ranks: int, window: int
) -> None:
    """Ranks that share nothing, with caches that hold what is asked for and no more."""
    store = CountingStore(many_shards)
    for rank in range(ranks):
        published = PublishedDataset.open(str(many_shards), tmp_path)
        published.store = store
        order = Order(published.sizes, batch=16, seed=3, window=window)
        room = min(80, 2 * order.shards_in_use(16 // ranks))
        largest = max(shard.tar.size for shard in published.manifest.shards)
        # As if the folder were far away.
        published._cache = ShardCache(tmp_path / str(rank), room * largest)
        published._kept_shards = 0
        for _ in Reader(published, order, False, 2, rank, ranks).batches(0, order.steps):
            pass
    fetches = {name: count for name, count in store.whole_reads.items() if count}
    assert len(fetches) == 80
    assert sum(fetches.values()) <= 80 + ranks - 1 <= 1.1 * 80


def test_shards_are_fetched_before_they_are_needed(many_shards: Path, tmp_path: Path) -> None:
    """The first batch is out, and shards are at hand of which no pair was asked for yet."""
    published = PublishedDataset.open(str(many_shards), tmp_path)
    order = Order(published.sizes, batch=16, seed=0)
    batches = Reader(published, order, False, 1).batches(0, order.steps)
    next(batches)
    decoded = {shard for step in range(AHEAD + 1) for shard, _ in order.places(step).tolist()}
    deadline = time.monotonic() + 20
    while not published._contents.keys() > decoded and time.monotonic() < deadline:
        time.sleep(0.01)
    assert published._contents.keys() > decoded
    cast(Generator[PixelPair, None, None], batches).close()


def test_a_reader_that_is_left_early_leaves_no_thread_behind(dataset: PublishedDataset) -> None:
    order = Order(dataset.sizes, batch=6, seed=1)
    batches = Reader(dataset, order, False, 2).batches(0, order.steps)
    next(batches)
    cast(Generator[PixelPair, None, None], batches).close()
