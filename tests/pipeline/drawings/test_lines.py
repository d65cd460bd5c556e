"""Lines cut, grown and laid over nothing, against SciPy, scikit-image and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from pipeline.arrays import Pixels
from pipeline.drawings.lines import ink_threshold, over_nothing, thickened, thresholded


def greys(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (40, 56), np.uint8)


def test_thickness_is_a_minimum_or_a_maximum() -> None:
    drawing = greys()
    np.testing.assert_array_equal(
        thickened(drawing, 2), ndimage.minimum_filter(drawing, 5, mode="nearest")
    )
    np.testing.assert_array_equal(
        thickened(drawing, -1), ndimage.maximum_filter(drawing, 3, mode="nearest")
    )
    assert thickened(drawing, 0) is drawing


def test_what_is_darker_than_the_threshold_is_ink() -> None:
    drawing = np.array([[0, 127, 128, 255]], np.uint8)
    assert thresholded(drawing, 0.5).tolist() == [[0, 0, 255, 255]]


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_otsu_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawing = np.clip(np.where(rng.random((64, 64)) < 0.1, 60, 230) + rng.normal(0, 25, (64, 64)),
                      0, 255).astype(np.uint8)  # fmt: skip
    # scikit-image's is the last grey of the darker class.
    expected = thresholded(drawing, (int(threshold_otsu(drawing)) + 0.5) / 255)
    assert (thresholded(drawing, ink_threshold(drawing)) != expected).mean() < 0.002


def test_the_threshold_of_two_greys_lies_between_them() -> None:
    drawing = np.array([[10, 200, 200, 200]], np.uint8)
    assert 11 <= ink_threshold(drawing) * 255 <= 200
    assert ink_threshold(np.full((4, 4), 255, np.uint8)) == 0.5


def test_ink_over_nothing_on_white_paper_is_the_drawing() -> None:
    drawing = greys()
    ink = Image.fromarray(over_nothing(drawing), mode="LA").convert("RGBA")
    laid = np.asarray(Image.alpha_composite(Image.new("RGBA", ink.size, "white"), ink))
    assert np.abs(laid[..., 0].astype(int) - drawing).max() <= 1
    assert (over_nothing(drawing, invert=True)[..., 0] == 255).all()


def test_no_ink_where_the_picture_is_transparent() -> None:
    drawing, mask = greys(), np.full((40, 56), 255, np.uint8)
    mask[:, :20], mask[:, 20:30] = 0, 128
    opacity = over_nothing(drawing, mask=mask)[..., 1]
    assert not opacity[:, :20].any()
    np.testing.assert_array_equal(opacity[:, 30:], 255 - drawing[:, 30:])
    half = (255.0 - drawing[:, 20:30]) * 128 / 255
    assert np.abs(opacity[:, 20:30] - half).max() <= 0.5
