"""Dead leaves: overlapping shapes with power-law sizes, the statistics of natural clutter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.embedded.scenes.noise import pink
from training.embedded.scenes.outline import arc, rotated, smooth
from training.embedded.scenes.palette import Rgb, jitter
from training.embedded.scenes.render import SHIFT, Canvas, draw_ink, fixed

LEAF_SHAPE = smooth(
    np.array([(-1.0, 0.0), (-0.9, 0.06), (-0.3, 0.48), (0.4, 0.4), (1.0, 0.02),
              (1.0, -0.02), (0.4, -0.4), (-0.3, -0.48), (-0.9, -0.06)]), 2)  # fmt: skip
DISC = arc((0.0, 0.0), (1.0, 1.0), num=28)


def paint_leaves(
    canvas: Canvas,
    rng: np.random.Generator,
    hues: list[Rgb],
    leafy: float,
    coarse: float,
) -> None:
    """Cover the canvas with overlapping shapes.

    Args:
        canvas: what is painted.
        rng: draws sizes, places and colours.
        hues: colours to vary, RGB in [0, 255]; the first is the background's.
        leafy: share of leaf shapes; the others are discs.
        coarse: the smallest radius, in pixels of a canvas of 128.
    """
    size = canvas.size
    num = int(160 * (5.0 / coarse) ** 1.3)
    r = _radii(rng, num, coarse * size / 128, 0.24 * size)
    # Big ones mostly at the back, or they would hide all the rest.
    r = r[np.argsort(-r + rng.normal(0.0, 0.08 * size, num))]
    place = rng.uniform(-0.05, 1.05, (num, 2)) * size
    turn, squash = rng.uniform(0.0, 360.0, num), rng.uniform(0.7, 1.0, num)
    tones = [jitter(rng, hues[i], 2.5).tolist() for i in rng.integers(len(hues), size=24)]
    image = np.empty((size, size, 3), np.uint8)
    image[:] = jitter(rng, hues[0]) * 0.6
    depth = np.full((size, size), 10, np.uint8)
    for i in range(num):
        shape = LEAF_SHAPE if rng.random() < leafy else DISC * (1.0, squash[i])
        xy = rotated(shape * r[i], turn[i], (0.0, 0.0)) + place[i]
        outline = [fixed(xy)]
        cv2.fillPoly(image, outline, tones[i % 24], cv2.LINE_AA, SHIFT)
        cv2.fillPoly(depth, outline, 10 + 70 * i // num, cv2.LINE_8, SHIFT)
        draw_ink(canvas.ink, xy, closed=True)
    canvas.image[:] = image * (1.0 + 0.06 * pink(rng, size, size))[:, :, None]
    canvas.depth[:] = depth * np.float32(1.0 / 255.0)


def _radii(rng: np.random.Generator, num: int, low: float, high: float) -> NDArray[np.float64]:
    """Draw num sizes with density r**-3 in [low, high]; (num,)."""
    u = rng.random(num)
    return 1.0 / np.sqrt(u / low**2 + (1.0 - u) / high**2)
