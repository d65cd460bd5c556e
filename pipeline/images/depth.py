"""Grey pictures of more than 8 bits as 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.arrays import Pixels

# The greatest values that whole numbers and floats commonly go to: 1, 8 bits, 12 bits, 16 bits.
_WHITES = (1, 255, 4095, 65535)


def is_deep(picture: Image.Image) -> bool:
    """Tell whether a picture's greys need more than 8 bits."""
    return picture.mode.startswith("I") or picture.mode == "F"


def to_eight_bits(picture: Image.Image) -> Pixels:
    """Scale the greys of a deep picture to uint8 (H, W).

    The white of 16-bit PNG is 65535, as the format says. TIFF does not say: whole numbers end at
    255, 4095 (cameras of 12 bits) or 65535, floats at 1, 255 or 65535, whichever holds the largest.

    Raises:
        ValueError: numbers below 0, above 65535, or none at all; says which.
    """
    greys = np.asarray(picture)
    low, high = float(greys.min()), float(greys.max())
    if not (low >= 0 and high <= _WHITES[-1]):
        raise ValueError(
            f"its greys go from {low:g} to {high:g}: expected numbers from 0 to 1, 255, 4095 or "
            "65535; save it with 8 or 16 bits a channel"
        )
    return _scaled(greys, _white(picture, high))


def _white(picture: Image.Image, high: float) -> int:
    if picture.format == "PNG":
        return _WHITES[-1]
    whites = [white for white in _WHITES if white != (4095 if picture.mode == "F" else 1)]
    return next(white for white in whites if high <= white)


def _scaled(greys: NDArray[Any], white: int) -> Pixels:
    return (greys.astype(np.float64) * (255 / white) + 0.5).astype(np.uint8)
