"""Batches by rank: the same steps for any number of ranks and threads."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from pipeline.reading.checked_shard import PixelPair
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
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


def test_ranks_share_each_batch_in_equal_steps(dataset: PublishedDataset) -> None:
    whole = read(dataset)
    assert len(whole) == 6 and whole[0][0].shape == (6, 32, 32, 3)
    for ranks in (2, 3, 6):
        parts = [read(dataset, rank=rank, ranks=ranks, threads=rank + 1) for rank in range(ranks)]
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


def test_a_batch_that_cannot_be_shared_is_refused(dataset: PublishedDataset) -> None:
    with pytest.raises(ValueError, match="expected a multiple of the 4 workers.*got 6"):
        read(dataset, ranks=4)


def test_a_reader_that_is_left_early_leaves_no_thread_behind(dataset: PublishedDataset) -> None:
    order = Order(dataset.sizes, batch=6, seed=1)
    batches = Reader(dataset, order, False, 2).batches(0, order.steps)
    next(batches)
    cast(Generator[PixelPair, None, None], batches).close()
