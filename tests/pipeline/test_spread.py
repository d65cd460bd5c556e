"""Which of many are shown: evenly spaced, all different, the first and the last among them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.spread import evenly_spaced


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (100, 4, [0, 33, 66, 99]),
        (10, 4, [0, 3, 6, 9]),
        (3, 8, [0, 1, 2]),
        (7, 1, [0]),
        (1, 4, [0]),
        (0, 4, []),
    ],
)
def test_a_few_of_many(count: int, most: int, expected: list[int]) -> None:
    assert evenly_spaced(count, most) == expected


@pytest.mark.parametrize("count", range(2, 120))
def test_none_twice_and_equally_far_apart(count: int) -> None:
    for most in range(2, count + 1):
        chosen = evenly_spaced(count, most)
        gaps = np.diff(chosen)
        assert len(chosen) == most and chosen[0] == 0 and chosen[-1] == count - 1
        assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1
