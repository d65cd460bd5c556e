"""Trivial baselines, which every system must beat (DiffSketch 5.2).

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper and 0 = ink.
"""

from __future__ import annotations

import numpy as np
from skimage.filters import sobel_h, sobel_v

from pipeline.arrays import Pixels
from training.styles.xdog import grey, to_drawing

STRONG_EDGE_PERCENTILE = 99.0
FAINTEST_FULL_EDGE = 0.05  # of the grey range; keeps noise on flat pictures from becoming ink


def sobel(picture: Pixels) -> Pixels:
    """Draw black lines where the grey level changes fastest: uint8 (H, W, 3) -> uint8 (H, W).

    Ink is the gradient's magnitude over its 99th percentile in this picture, so that faint and
    strong pictures both get lines.
    """
    image = grey(picture)
    strength = np.hypot(sobel_h(image), sobel_v(image))
    full = max(float(np.percentile(strength, STRONG_EDGE_PERCENTILE)), FAINTEST_FULL_EDGE)
    return to_drawing(1.0 - strength / full)


def blank(picture: Pixels) -> Pixels:
    """Return an empty page of the picture's size: uint8 (H, W, 3) -> uint8 (H, W)."""
    return np.full(picture.shape[:2], 255, dtype=np.uint8)
