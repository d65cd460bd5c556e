"""Photographs go into the square whole and come back where they were."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.images.letterbox import frame, unframe


def smooth(height: int, width: int) -> np.ndarray:
    """A picture that resizing hardly changes."""
    rows, columns = np.mgrid[0:height, 0:width]
    values = 60 + 80 * rows / height + 60 * columns / width
    return np.repeat(values[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (200, 90), (90, 200), (32, 20), (40, 300)])
def test_there_and_back(size: tuple[int, int]) -> None:
    photograph = smooth(*size)
    framed = frame(photograph, 64)
    assert framed.picture.shape == (64, 64, 3)
    back = unframe(framed, framed.picture[..., 0])
    assert back.shape == size
    assert np.abs(back.astype(int) - photograph[..., 0]).mean() < 4


def test_the_photograph_is_centred_and_continued_by_reflection() -> None:
    photograph = smooth(32, 64)
    framed = frame(photograph, 64)
    assert np.array_equal(framed.picture[16:48], photograph)
    assert np.array_equal(framed.picture[:16], photograph[:16][::-1])
    assert np.array_equal(framed.picture[48:], photograph[16:][::-1])


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a picture uint8"):
        frame(np.zeros((8, 8)), 64)
