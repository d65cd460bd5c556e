"""Several datasets read as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.reading.union import PublishedUnion
from tests.standins.published_blobs import write_dataset


def open_union(*addresses: str) -> PublishedUnion:
    return PublishedUnion.open(addresses, None, "", None)


def test_an_epoch_has_each_pair_of_all_datasets_once(tmp_path: Path) -> None:
    addresses = [
        write_dataset(tmp_path / str(seed), samples, seed=seed)
        for seed, samples in ((1, 22), (2, 9), (3, 17))
    ]
    union = open_union(*addresses)
    assert union.sizes == (8, 8, 6, 8, 1, 8, 8, 1)
    order = Order(union.sizes, batch=6, seed=1)
    read = [
        sketch.tobytes()
        for _, sketches in Reader(union, order, flip=False, threads=2).batches(0, order.steps)
        for sketch in sketches
    ]
    stored = [
        dataset.pair(shard, position)[1].tobytes()
        for dataset in (PublishedDataset.open(address, None) for address in addresses)
        for shard, size in enumerate(dataset.sizes)
        for position in range(size)
    ]
    assert len(read) == 48 and sorted(read) == sorted(stored)


def test_one_dataset_alone_reads_as_it_does_itself(tmp_path: Path) -> None:
    address = write_dataset(tmp_path)
    alone, union = PublishedDataset.open(address, None), open_union(address)
    order = Order(alone.sizes, batch=4, seed=3)
    for ours, theirs in zip(
        Reader(union, order, flip=True, threads=1).batches(0, order.steps),
        Reader(alone, order, flip=True, threads=1).batches(0, order.steps),
        strict=True,
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_the_same_dataset_twice_is_refused(tmp_path: Path) -> None:
    address = write_dataset(tmp_path)
    with pytest.raises(ValueError, match="is there twice"):
        open_union(address, write_dataset(tmp_path / "b", seed=8), address)


def test_another_style_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of the style 'ink'.* of one style in distill.also"):
        open_union(write_dataset(tmp_path / "a"), write_dataset(tmp_path / "b", style="ink"))
