"""The baselines: an edge filter that stays quiet on flat paper, and an empty page."""

from __future__ import annotations

import numpy as np

from training.styles.baselines import blank, sobel


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
