"""The baselines: an edge filter that stays quiet on flat paper, and an empty page."""

from __future__ import annotations

import numpy as np
import pytest

from training.styles.baselines import blank, greys, otsu, sobel, stretched
from training.styles.registry import Style


def test_sobel_draws_black_lines_on_white() -> None:
    rgb = np.zeros((40, 40, 3), dtype=np.uint8)
    rgb[:, 20:] = 200
    drawn = sobel(rgb)
    assert (drawn[5:-5, 18:22].min(axis=1) < 10).all()
    assert (drawn[:, :15] == 255).all() and (drawn[:, 25:] == 255).all()


def test_sobel_leaves_flat_noise_white() -> None:
    rgb = np.random.default_rng(0).integers(127, 129, size=(40, 40, 3), dtype=np.uint8)
    assert sobel(rgb).mean() > 240


def test_blank_is_an_empty_page() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, size=(40, 30, 3), dtype=np.uint8)
    page = blank(rgb)
    assert page.shape == (40, 30) and page.dtype == np.uint8 and (page == 255).all()


def test_greys_are_the_mean_of_the_channels() -> None:
    assert greys(np.full((4, 5, 3), (10, 20, 60), np.uint8)).tolist() == [[30] * 5] * 4


def test_stretched_reaches_black_and_white_at_its_percentiles() -> None:
    ramp = np.repeat(np.arange(50, 151, dtype=np.uint8)[None, :, None], 3, axis=2)  # (1, 101, 3)
    drawn = stretched(ramp)[0]
    # The 5th percentile of 50..150 is 55, the 95th 145; between them grey rises evenly.
    assert drawn[:6].tolist() == [0] * 6 and drawn[95:].tolist() == [255] * 6
    assert drawn[50] == pytest.approx(255 * (100 - 55) / 90, abs=1)


def test_otsu_splits_two_tones() -> None:
    rgb = np.full((20, 20, 3), 90, np.uint8)
    rgb[:, 12:] = 160
    drawn = otsu(rgb)
    assert (drawn[:, :12] == 0).all() and (drawn[:, 12:] == 255).all()


@pytest.mark.parametrize("style", [greys, stretched, otsu])
def test_a_picture_of_one_grey_is_drawn_too(style: Style) -> None:
    drawn = style(np.full((8, 9, 3), 77, np.uint8))
    assert drawn.shape == (8, 9) and drawn.dtype == np.uint8 and len(np.unique(drawn)) == 1
