"""Figures of a page."""

from __future__ import annotations

import numpy as np

from jobs.pages.figures import make_figure


def test_large_pictures_are_shrunk_small_ones_kept() -> None:
    large = make_figure(np.zeros((600, 900, 3), np.uint8), "x", max_side=300)
    small = make_figure(np.zeros((60, 90), np.uint8), "x", max_side=300)
    assert (large.width, large.height) == (300, 200)
    assert (small.width, small.height) == (90, 60)
