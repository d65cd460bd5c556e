"""What a pair looks like in numbers, for filters: nothing is dropped at generation."""

from __future__ import annotations

import numpy as np
from PIL import Image

# The darkest and the lightest half per cent of pixels do not count for contrast: a speck on an
# empty page does not make it a drawing.
_TAIL_SHARE = 0.005
_HASH_WIDTH, _HASH_HEIGHT = 9, 8


def ink_coverage(sketch: np.ndarray) -> float:
    """Mean darkness of a sketch uint8 (H, W): 0 is an empty page, 1 solid ink."""
    return float(1 - sketch.mean(dtype=np.float64) / 255)


def blankness(sketch: np.ndarray) -> float:
    """One minus the contrast of a sketch uint8 (H, W): 0 has ink and paper, 1 is uniform."""
    filled = np.cumsum(np.bincount(sketch.ravel(), minlength=256))
    total = filled[-1]
    low = int(np.searchsorted(filled, total * _TAIL_SHARE, side="right"))
    high = int(np.searchsorted(filled, total * (1 - _TAIL_SHARE)))
    return 1 - max(high - low, 0) / 255


def difference_hash(image: np.ndarray) -> str:
    """64-bit difference hash of an image uint8 (H, W, 3), in hexadecimal, for near-duplicates.

    Bit (y, x) tells whether brightness falls from column x to x + 1 of a 9 x 8 reduction.
    """
    size = (_HASH_WIDTH, _HASH_HEIGHT)
    small = np.asarray(Image.fromarray(image).convert("L").resize(size, Image.Resampling.BOX))
    bits = small[:, :-1] > small[:, 1:]  # (8, 8)
    return np.packbits(bits).tobytes().hex()


def scores(image: np.ndarray, sketch: np.ndarray) -> dict[str, float | str]:
    """All scores of a pair by column name; floats rounded so that JSON stays short."""
    return {
        "ink_coverage": round(ink_coverage(sketch), 6),
        "blankness": round(blankness(sketch), 6),
        "image_hash": difference_hash(image),
    }
