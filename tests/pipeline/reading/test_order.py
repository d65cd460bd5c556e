"""The order of reading: every pair at most once an epoch, by seed and epoch only."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pipeline.reading.order import Order, slots_of

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


@pytest.mark.parametrize(
    ("sizes", "batch"),
    [
        ((40,), 7),  # one shard, which all slots share
        ((9, 30, 1), 8),  # fewer shards than slots
        ((0, 5, 0, 0, 12, 3, 0, 1), 4),  # as filters leave them
        ((8,) * 40, 6),
        (tuple(range(30)), 11),
        ((3, 4), 7),  # a single step
    ],
)
@pytest.mark.parametrize("window", [1, 3, 64])
def test_it_deals_any_shards_to_any_slots(sizes: tuple[int, ...], batch: int, window: int) -> None:
    order = Order(sizes, batch, seed=5, window=window)
    assert order.steps == sum(sizes) // batch
    left_out = []
    for epoch in range(3):
        places = epoch_places(order, epoch)
        assert len(set(places)) == len(places) == order.steps * batch
        assert all(0 <= at < sizes[shard] for shard, at in places)
        everything = {(shard, at) for shard, size in enumerate(sizes) for at in range(size)}
        left_out.append(everything - set(places))
        assert len(left_out[-1]) < batch
    if left_out[0]:
        assert len(set(map(frozenset, left_out))) > 1


def test_a_step_is_the_same_from_wherever_one_starts_and_for_any_number_of_ranks() -> None:
    sizes, batch = (7, 30, 0, 12, 9, 22, 5, 5, 18) * 3, 10
    whole = Order(sizes, batch, 1, window=12)
    in_turn = [whole.places(step) for step in range(2 * whole.steps)]
    for ranks in range(1, batch + 1):
        shares = [slots_of(rank, ranks, batch) for rank in range(ranks)]
        assert [slot for share in shares for slot in share] == list(range(batch))
        assert {len(share) for share in shares} <= {batch // ranks, batch // ranks + 1}
        orders = [Order(sizes, batch, 1, window=12) for _ in range(ranks)]
        for step in (2 * whole.steps - 1, 0, whole.steps, 7):
            parts = [order.places(step, share) for order, share in zip(orders, shares, strict=True)]
            np.testing.assert_array_equal(np.concatenate(parts), in_turn[step])


def test_ranks_without_a_slot_are_refused() -> None:
    with pytest.raises(ValueError, match="one pair for each of the 9 workers.*got 8"):
        slots_of(0, 9, 8)


@pytest.mark.parametrize(("batch", "window"), [(4, 4), (4, 12), (16, 16), (5, 64)])
def test_a_window_bounds_the_shards_in_use(batch: int, window: int) -> None:
    """Between its first pair and its last, a shard is in use."""
    order = Order((10,) * 200, batch, seed=0, window=window)
    for slots in (range(batch), range(batch // 2), range(1, 3)):
        first, last = {}, {}
        for step in range(order.steps):
            for shard in order.places(step, slots)[:, 0].tolist():
                first.setdefault(shard, step)
                last[shard] = step
        in_use = max(
            sum(first[shard] <= step <= last[shard] for shard in first)
            for step in range(0, order.steps, 3)
        )
        assert in_use <= order.shards_in_use(len(slots)) <= 2 * max(window, batch)


@pytest.mark.parametrize("batch", [4, 64])
def test_neighbours_of_a_batch_are_as_far_apart_as_in_a_full_shuffle(batch: int) -> None:
    """The mean distance of two random points of a line is a third of it."""
    order = Order((128,) * 400, batch, seed=0)
    places = np.concatenate([order.places(step) for step in range(0, order.steps, 7)])
    index = places[:, 0] * 128 + places[:, 1]
    assert np.abs(np.diff(index)).mean() / order.total == pytest.approx(1 / 3, abs=0.03)


def test_slots_pass_on_to_new_shards_one_after_the_other() -> None:
    """A reader has to fetch a few shards often, not all of them at once."""
    order = Order((32,) * 640, 8, seed=0, window=64)
    seen: set[int] = set()
    new = []
    for step in range(order.steps):
        shards = set(order.places(step)[:, 0].tolist())
        new.append(len(shards - seen))
        seen |= shards
    later = np.convolve(new[200:], np.ones(16), "valid")
    assert later.max() < 24  # of 64 in use, in as many steps as a slot has in half a shard


def test_thirty_million_pairs_take_little_time_and_memory() -> None:
    code = """
import time
from pipeline.reading.order import Order

def used():
    # Not getrusage: a new process begins with its parent's peak.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

sizes = (120,) * 250_000
before = used()
order = Order(sizes, 256, seed=0)
order.places(0)
times = []
for step in [*range(1, 300), *range(order.steps - 4, order.steps + 300)]:
    start = time.thread_time()
    order.places(step)
    times.append(time.thread_time() - start)
times.sort()
print(times[-2], used() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slowest_s, grown_mb = map(float, done.stdout.split())  # but for the next epoch's first
    assert slowest_s < 0.05 and grown_mb < 60


def test_half_of_the_pairs_are_mirrored_and_others_in_the_next_epoch() -> None:
    order = Order((500,), batch=500, seed=0)
    flips = np.array([[order.is_flipped(step, (0, at)) for at in range(500)] for step in (0, 1)])
    assert abs(flips.mean() - 0.5) < 0.05
    assert abs((flips[0] != flips[1]).mean() - 0.5) < 0.08


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch: expected at most the dataset's 32 pairs, got 33"):
        Order(SIZES, 33, 0)
