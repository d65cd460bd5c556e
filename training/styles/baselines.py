"""Baselines that learn nothing, which every system must beat (DiffSketch 5.2).

XDoG is a tone threshold, so that a picture's own greys come near to it: no score of that style says
anything without theirs (docs/results.md, "Against the picture's own greys").

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper and 0 = ink.
"""

from __future__ import annotations

import numpy as np
from skimage.exposure import rescale_intensity
from skimage.filters import sobel_h, sobel_v, threshold_otsu

from pipeline.arrays import Pixels
from training.styles.xdog import grey, to_drawing

STRONG_EDGE_PERCENTILE = 99.0
FAINTEST_FULL_EDGE = 0.05  # of the grey range; keeps noise on flat pictures from becoming ink
STRETCHED_PERCENTILES = (5.0, 95.0)  # what becomes black, and what white


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


def greys(picture: Pixels) -> Pixels:
    """Return the picture without its colours: uint8 (H, W, 3) -> uint8 (H, W)."""
    return to_drawing(grey(picture))


def stretched(picture: Pixels) -> Pixels:
    """Stretch the greys from their 5th to their 95th percentile: uint8 (H, W, 3) -> uint8 (H, W).

    A picture of one grey is left as it is.
    """
    image = grey(picture)
    low, high = np.percentile(image, STRETCHED_PERCENTILES)
    if low == high:
        return to_drawing(image)
    return to_drawing(rescale_intensity(image, in_range=(low, high), out_range=(0.0, 1.0)))


def otsu(picture: Pixels) -> Pixels:
    """Split the greys in ink and paper by Otsu's threshold: uint8 (H, W, 3) -> uint8 (H, W).

    A picture of one grey has no threshold, and is paper.
    """
    image = greys(picture)
    if image.min() == image.max():
        return blank(picture)
    return np.where(image > threshold_otsu(image), 255, 0).astype(np.uint8)
