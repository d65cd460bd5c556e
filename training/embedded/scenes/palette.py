"""Named colours and their jitter; RGB float32 in [0, 255]."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]  # in [0, 255]
Colour = NDArray[np.float32]  # (3,), RGB in [0, 255]

COLOURS: dict[str, Rgb] = {
    "red": (205, 36, 36),
    "orange": (240, 132, 28),
    "yellow": (245, 212, 46),
    "green": (52, 150, 58),
    "blue": (42, 92, 205),
    "purple": (122, 56, 168),
    "pink": (244, 140, 182),
    "white": (240, 240, 238),
    "black": (38, 38, 42),
    "brown": (126, 78, 42),
}
NAMES = tuple(COLOURS)

WOOD = (118, 76, 44)
LEAF = (62, 132, 54)
CREAM = (240, 228, 204)
DARK = (36, 32, 34)
PALE = (246, 246, 244)
GLASS = (158, 204, 230)


def jitter(rng: np.random.Generator, rgb: tuple[float, ...], amount: float = 1.0) -> Colour:
    """Move an RGB colour a little in HSV."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255.0 for c in rgb))
    dh, ds, dv = rng.uniform(-1.0, 1.0, 3) * amount
    # Greys keep their lack of hue: saturation moves in proportion to what is there.
    s = min(max(s * (1.0 + 0.12 * ds), 0.0), 1.0)
    v = min(max(v * (1.0 + 0.08 * dv), 0.0), 1.0)
    return 255.0 * np.array(colorsys.hsv_to_rgb((h + 0.014 * dh) % 1.0, s, v), np.float32)
