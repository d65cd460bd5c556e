"""Resizing: it averages when it shrinks, and interpolates when it grows."""

from __future__ import annotations

import numpy as np

from pipeline.images.resize import resized


def test_what_shrinks_is_averaged() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (8, 4))  # of one pixel's width
    small = resized(stripes, 4, 4)
    assert small.shape == (4, 4) and set(small.flat) <= {127, 128}


def test_what_grows_is_interpolated() -> None:
    edge = np.repeat(np.array([0, 255], np.uint8), 8)[None].repeat(16, 0)
    large = resized(edge, 64, 64)
    assert large.shape == (64, 64) and (large[:, :20] == 0).all() and (large[:, 44:] == 255).all()
    # Not blocks: greys lie between ink and paper.
    assert ((large[:, 28:36] > 0) & (large[:, 28:36] < 255)).any()


def test_the_same_size_is_left_alone() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert resized(picture, 5, 7) is picture
