"""The order of reading: every pair at most once an epoch, by seed and epoch only."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reading.order import Order

SIZES = (8, 8, 6, 7, 3)


def epoch_places(order: Order, epoch: int) -> list[tuple[int, int]]:
    steps = range(epoch * order.steps, (epoch + 1) * order.steps)
    return [(shard, at) for step in steps for shard, at in order.places(step).tolist()]


def test_an_epoch_holds_each_pair_at_most_once_and_drops_less_than_a_batch() -> None:
    order = Order(SIZES, batch=5, seed=0)
    everything = {(shard, at) for shard, size in enumerate(SIZES) for at in range(size)}
    places = epoch_places(order, 0)
    assert len(places) == len(set(places)) == order.steps * 5
    assert set(places) <= everything and len(everything) - len(places) < 5
    assert epoch_places(order, 1) != places


def test_it_depends_on_seed_and_epoch_only() -> None:
    first, again = (epoch_places(Order(SIZES, 4, seed=3), 2) for _ in range(2))
    assert first == again != epoch_places(Order(SIZES, 4, seed=4), 2)


def test_a_window_bounds_the_shards_in_use() -> None:
    order = Order((10,) * 12, batch=10, seed=0, window=3)
    used = [{shard for shard, _ in order.places(step)} for step in range(12)]
    for start in range(0, 12, 3):
        assert len(set.union(*used[start : start + 3])) == 3


def test_half_of_the_pairs_are_mirrored_and_others_in_the_next_epoch() -> None:
    order = Order((500,), batch=500, seed=0)
    flips = np.array([[order.is_flipped(step, (0, at)) for at in range(500)] for step in (0, 1)])
    assert abs(flips.mean() - 0.5) < 0.05
    assert abs((flips[0] != flips[1]).mean() - 0.5) < 0.08


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch: expected at most the dataset's 32 pairs, got 33"):
        Order(SIZES, 33, 0)
