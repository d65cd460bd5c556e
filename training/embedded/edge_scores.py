"""How well drawings show boundaries that are known exactly: F-measure and average precision.

As the Berkeley benchmark does (Martin, Fowlkes and Malik 2004), one threshold serves all pictures
and a boundary counts as found within a small distance. Shapes: N drawings of H, W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.arrays import Pixels

LEVELS = 256
INKED = 128  # darker pixels of the line art are boundaries


@dataclass(frozen=True)
class BoundaryScores:
    """How well drawings show boundaries, from 0 to 1.

    Attributes:
        f_measure: the best over all thresholds (ODS).
        average_precision: over all recalls.
    """

    f_measure: float
    average_precision: float


def boundary_scores(drawings: Pixels, line_art: Pixels, tolerance_px: int = 1) -> BoundaryScores:
    """Score drawings against line art.

    Args:
        drawings: uint8 (N, H, W), 255 = paper.
        line_art: uint8 (N, H, W), the truth.
        tolerance_px: drawn pixels count as right this near to a line, lines as found this near to
            a drawn pixel.

    Raises:
        ValueError: the shapes differ, or the line art has no lines.
    """
    truth = line_art < INKED
    if drawings.shape != line_art.shape or not truth.any():
        raise ValueError(
            f"expected drawings and line art of one shape with some lines, got {drawings.shape} "
            f"and {line_art.shape} with {int(truth.sum())} inked pixels"
        )
    reach = np.ones((2 * tolerance_px + 1,) * 2, np.uint8)
    drawn, right, found = (np.zeros(LEVELS) for _ in range(3))  # pixels by level of ink
    for drawing, lines in zip(drawings, truth, strict=True):
        ink = 255 - drawing
        near_line = cv2.dilate(lines.astype(np.uint8), reach) > 0
        drawn += np.bincount(ink.ravel(), minlength=LEVELS)
        right += np.bincount(ink[near_line], minlength=LEVELS)
        found += np.bincount(cv2.dilate(ink, reach)[lines], minlength=LEVELS)
    # From the darkest level down: what a threshold at each level would draw.
    drawn, right, found = (np.cumsum(counts[::-1]) for counts in (drawn, right, found))
    precision, recall = right / np.maximum(drawn, 1), found / truth.sum()
    f_measure = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    steps = np.diff(recall, prepend=0.0)
    return BoundaryScores(float(f_measure.max()), float((steps * precision).sum()))
