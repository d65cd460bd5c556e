"""The lines of a drawing, uint8 (H, W), 255 = paper: cut to black and white, grown, ink alone."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from pipeline.arrays import Pixels

# Pixels on either side: beyond them a line fills whole pictures.
MOST_THICKNESS_PX = 32


def thickened(drawing: Pixels, thickness_px: int) -> Pixels:
    """Let lines grow by some pixels on either side, or shrink where it is negative."""
    if not thickness_px:
        return drawing
    window = ImageFilter.MinFilter if thickness_px > 0 else ImageFilter.MaxFilter
    return np.asarray(Image.fromarray(drawing).filter(window(2 * abs(thickness_px) + 1)))


def thresholded(drawing: Pixels, threshold: float) -> Pixels:
    """Make black what is darker than `threshold`, in (0, 1), and white all else."""
    return np.where(drawing < threshold * 255, 0, 255).astype(np.uint8)


def ink_threshold(drawing: Pixels) -> float:
    """Return the threshold in (0, 1) that parts ink from paper best, by Otsu 1979.

    It lies between the two classes of greys whose means differ most, weighted by their sizes.
    """
    counts = np.bincount(drawing.ravel(), minlength=256).astype(np.float64)
    greys = np.arange(256)
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    sum_below = np.cumsum(counts * greys)[:-1]
    sum_above = (counts * greys).sum() - sum_below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sum_below / below - sum_above / above) ** 2
    if not np.nanmax(between, initial=0) > 0:
        return 0.5
    best = np.flatnonzero(between == np.nanmax(between))
    return float(best.mean() + 1) / 255  # the middle of a gap between the classes


def ink_of(drawing: Pixels, mask: Pixels | None = None) -> Pixels:
    """Return a drawing's ink as opacity, uint8 (H, W), 255 = full.

    Args:
        drawing: its greys.
        mask: of the same size, how much of the photograph is there; none where it is transparent.
    """
    ink = 255 - drawing
    if mask is None:
        return ink
    return (ink.astype(np.uint16) * mask / 255 + 0.5).astype(np.uint8)


def over_nothing(drawing: Pixels, invert: bool = False, mask: Pixels | None = None) -> Pixels:
    """Return a drawing as ink over nothing, uint8 (H, W, 2): grey and opacity.

    Args:
        drawing: its greys.
        invert: white ink.
        mask: see `ink_of`.
    """
    return np.stack([np.full_like(drawing, 255 if invert else 0), ink_of(drawing, mask)], axis=-1)
