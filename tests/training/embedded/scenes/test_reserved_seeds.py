"""Reserved seeds: no scene belongs to two purposes, and none moves."""

from __future__ import annotations

from itertools import pairwise

from training.embedded.scenes import reserved_seeds
from training.embedded.scenes.reserved_seeds import (
    BENCHMARK_SEEDS,
    CAPTION_SEEDS,
    EVALUATION_SEEDS,
    EXAMPLE_SEEDS,
    HELD_OUT_SEEDS,
    TRAINING_SEEDS,
)


def test_no_seed_is_reserved_twice() -> None:
    ranges = [value for value in vars(reserved_seeds).values() if isinstance(value, range)]
    assert len(ranges) == 6
    ranges.sort(key=lambda seeds: seeds.start)
    assert all(seeds.step == 1 and len(seeds) > 0 for seeds in ranges)
    assert all(before.stop <= after.start for before, after in pairwise(ranges))


def test_published_results_keep_their_scenes() -> None:
    """Figures in the documentation were measured on these; another start makes other scenes."""
    firsts = [seeds[0] for seeds in (TRAINING_SEEDS, HELD_OUT_SEEDS, BENCHMARK_SEEDS)]
    assert firsts == [0, 1_000_000_000, 2**32]
    assert [seeds[0] for seeds in (EVALUATION_SEEDS, CAPTION_SEEDS)] == [2**40, 2**41]
    assert EXAMPLE_SEEDS[8] == 2**42 + 8
