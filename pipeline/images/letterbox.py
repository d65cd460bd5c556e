"""Photographs of any size in the square that a backbone takes, and drawings back out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Pixels, check_picture
from pipeline.images.resize import resized


@dataclass(frozen=True)
class Frame:
    """A photograph in a square: `picture` is uint8 (S, S, 3), the rest says where it lies.

    The photograph, `height` x `width` pixels, takes the `inner` rows and columns from (top, left).
    """

    picture: Pixels
    height: int
    width: int
    inner: tuple[int, int]
    top: int
    left: int


def frame(photograph: Pixels, side: int) -> Frame:
    """Fit uint8 (H, W, 3) into a square of `side` pixels: whole, centred, continued by reflection.

    Whole, since a crop would leave parts undrawn; reflected, since a backbone has seen pictures
    without bars.
    """
    check_picture(photograph)
    height, width = photograph.shape[:2]
    scale = side / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (side - inner[0]) // 2, (side - inner[1]) // 2
    around = ((top, side - inner[0] - top), (left, side - inner[1] - left), (0, 0))
    small = np.pad(resized(photograph, *inner), around, mode="symmetric")
    return Frame(small, height, width, inner, top, left)


def unframe(framed: Frame, drawing: Pixels) -> Pixels:
    """Cut a drawing of the square, uint8 (S, S), down to the photograph's part and its size."""
    rows, columns = framed.inner
    part = drawing[framed.top : framed.top + rows, framed.left : framed.left + columns]
    return resized(np.ascontiguousarray(part), framed.height, framed.width)
