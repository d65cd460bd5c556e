"""Benchmark `mixing`: its orders hold the pairs that they should."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.bench import EXTRA
from jobs.benchmarks import mixing
from jobs.benchmarks.measure import Effort


@pytest.mark.parametrize("kind", ["slots", "window", "full shuffle"])
def test_every_order_reads_each_pair_once(kind: str) -> None:
    setting = mixing._Setting(shards=10, pairs=7, batch=4, window=4)
    batches = np.stack(list(setting.indices(kind, seed=1)))
    assert batches.shape == (17, 4)
    assert len(np.unique(batches)) == 68 and batches.min() >= 0 and batches.max() < 70


def test_distances_tell_a_good_order_from_a_bad_one() -> None:
    setting = mixing._Setting(shards=64, pairs=16, batch=8, window=2)
    mixed, _, even = mixing._distances(setting, "full shuffle")
    near, _, uneven = mixing._distances(setting, "window")
    assert mixed == pytest.approx(1 / 3, abs=0.03)
    assert near < 0.25 and uneven > 1.5 * even


def test_scenes_are_sorted_so_that_neighbours_are_alike() -> None:
    _, sketches = mixing._sorted_scenes(6)
    ink = (255 - sketches.astype(int)).reshape(6, -1).mean(axis=1)
    assert (np.diff(ink) >= 0).all() and ink[-1] > ink[0]


def test_it_trains_in_each_order_and_compares() -> None:
    found = EXTRA["mixing"](Effort(rounds=1, tiny=True))
    assert all(np.isfinite(score.median) and score.median > 0 for score in found.scores)
    assert len(found.metadata["curve_slots"]) == 6
