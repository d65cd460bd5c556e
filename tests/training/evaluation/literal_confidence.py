"""Equations 6 and 7 of the paper transcribed with loops over pairs, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Pairs = Sequence[tuple[Vector, Vector]]  # (image, sketch)


def cosine(a: Vector, b: Vector) -> float:
    """Cosine of the angle between two vectors."""
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a)) / np.sqrt(np.dot(b, b)))


def sim(x: Pairs, y: Pairs) -> float:
    """Sim(X, Y): a pair is not compared with itself."""
    total, n = 0.0, 0
    for image_x, sketch_x in x:
        for image_y, sketch_y in y:
            if image_x is image_y:
                continue
            total += cosine(image_y - image_x, sketch_y - sketch_x)
            total += cosine(sketch_x - image_x, sketch_y - image_y)
            n += 2
    return total / n


def confidence(x: Pairs, y: Pairs, everything: Pairs) -> float:
    """Equation 7."""
    return sim(x, y) / sim(everything, everything) * 100
