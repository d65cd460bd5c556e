"""Near-duplicates, against a comparison of all with all."""

from __future__ import annotations

import numpy as np

from pipeline.upkeep.near_duplicates import MAX_BITS, first_similar


def all_with_all(values: list[int]) -> list[int]:
    return [
        next(j for j in range(i + 1) if (values[i] ^ values[j]).bit_count() <= MAX_BITS)
        for i in range(len(values))
    ]


def test_as_all_compared_with_all() -> None:
    random = np.random.default_rng(0)
    seeds = random.integers(0, 2**64, 40, np.uint64).tolist()
    values = []
    for _ in range(400):
        # Some flipped bits away from one of few hashes: both sides of the limit occur.
        flips = random.choice(64, random.integers(0, 2 * MAX_BITS), replace=False)
        values.append(seeds[random.integers(len(seeds))] ^ sum(1 << int(bit) for bit in flips))
    found = first_similar([f"{value:016x}" for value in values]).tolist()
    assert found == all_with_all(values)
    assert 40 < sum(first == position for position, first in enumerate(found)) < 400


def test_none_and_equal_ones() -> None:
    assert first_similar([]).tolist() == []
    assert first_similar(["00000000000000ff"] * 3).tolist() == [0, 0, 0]
