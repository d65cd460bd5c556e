"""How much of a grid of eight pixels an extractor weaves into its drawings, in decibels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels

PERIOD = 8  # pixels: what three doublings repeat
_NEAR, _SKIPPED = 8, 2  # bins on either side of a peak: as far as, and from


def grid_db(drawing: Pixels) -> float:
    """Measure the spectral peaks at multiples of 1/8 cycle a pixel, against their neighbourhood.

    The power of all rows and of all columns (less its mean, Hann window) is averaged; each peak's
    bin is compared with the median of the bins around it. A drawing without a grid has about 0.

    Args:
        drawing: uint8 (H, W), at least 32 pixels a side.

    Returns:
        The mean of the eight ratios, four along rows and four along columns, in dB.
    """
    ratios = [ratio for lines in (drawing, drawing.T) for ratio in _peaks(lines)]
    return float(10 * np.mean(np.log10(ratios)))


def _peaks(lines: Pixels) -> list[float]:
    """Return each peak's power over its neighbourhood's, along the rows of (H, W)."""
    length = lines.shape[1] // PERIOD * PERIOD
    values = lines[:, :length].astype(np.float64)
    values -= values.mean(1, keepdims=True)
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(values * np.hanning(length)))).mean(0)
    # An empty page has no power at all, and no grid.
    power += 1e-9
    peaks = []
    for multiple in range(1, PERIOD // 2 + 1):
        at = length * multiple // PERIOD
        around = [
            power[i]
            for i in range(max(1, at - _NEAR), min(len(power), at + _NEAR + 1))
            if abs(i - at) > _SKIPPED
        ]
        peaks.append(float(power[at] / np.median(around)))
    return peaks
