"""Drawings of scenes for the encoders: line art of varied weight, and XDoG's tonal inking.

Shapes: N scenes, B batch, S side in pixels.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np

from training.embedded.scenes.arrays import SceneArrays
from training.styles.styles import xdog


def xdog_all(images: np.ndarray, workers: int = 2) -> np.ndarray:
    """XDoG drawings of (N, S, S, 3) uint8 -> (N, S, S) uint8, on `workers` processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return np.stack(list(pool.map(xdog, images, chunksize=64)))


def draw(
    scenes: SceneArrays, inked: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A drawing of each of `rows`: -> (B, S, S, 3) uint8. Half line art in one of three weights and
    some grey, half XDoG: an encoder that knew one kind of line only would see style where there is
    content."""
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
