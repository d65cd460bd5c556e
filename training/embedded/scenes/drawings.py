"""Drawings of scenes for the encoders: line art of varied weight, and XDoG's tonal inking.

Shapes: N scenes, B batch, S side in pixels.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from training.embedded.scenes.arrays import SceneArrays
from training.styles.xdog import xdog


def xdog_all(images: Pixels, workers: int = 2) -> Pixels:
    """Draw pictures by XDoG in `workers` processes: uint8 (N, S, S, 3) -> uint8 (N, S, S)."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return np.stack(list(pool.map(xdog, images, chunksize=64)))


def draw(
    scenes: SceneArrays, inked: Pixels, rows: NDArray[np.int64], rng: np.random.Generator
) -> Pixels:
    """Draw some scenes: half as line art in one of three weights and some grey, half by XDoG.

    An encoder trained on one kind of line would mistake style for content.

    Args:
        scenes: N of them.
        inked: their XDoG drawings, uint8 (N, S, S).
        rows: which scenes to draw, (B,).
        rng: chooses the kind, weight and grey of each.

    Returns:
        Drawings uint8 (B, S, S, 3), 255 = paper.
    """
    out = np.empty((len(rows), *scenes.images.shape[1:]), np.uint8)
    for i, row in enumerate(rows):
        if rng.random() < 0.5:
            drawing = inked[row]
        else:
            drawing = scenes.line_art[row]
            weight = int(rng.integers(1, 4))
            drawing = cv2.erode(drawing, np.ones((weight, weight), np.uint8))
            lightest = rng.uniform(0, 90)
            drawing = (lightest + drawing * ((255 - lightest) / 255)).astype(np.uint8)
        out[i] = drawing[..., None]
    return out
