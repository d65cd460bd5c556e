"""Statistics of a pair, for filters to use later: generation itself drops nothing."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels

# Contrast ignores the darkest and the lightest half per cent of pixels: a speck on an empty page
# does not make a drawing.
_TAIL_SHARE = 0.005
_HASH_WIDTH, _HASH_HEIGHT = 9, 8


def ink_coverage(sketch: Pixels) -> float:
    """Return the mean darkness of a sketch uint8 (H, W): 0 is an empty page, 1 solid ink."""
    return float(1 - sketch.mean(dtype=np.float64) / 255)


def paper_level(sketch: Pixels) -> int:
    """Return the grey of a sketch's paper: the commonest of the lighter half of its levels.

    Args:
        sketch: uint8 (H, W); paper that is white gives 255.
    """
    levels = np.bincount(sketch.ravel(), minlength=256)
    return 128 + int(levels[128:].argmax())


def ink_share(sketch: Pixels) -> float:
    """Return the mean darkness of a sketch uint8 (H, W) against its own paper, in [0, 1].

    Unlike `ink_coverage`, a column of the index, it does not count paper that is grey as ink.
    """
    paper = paper_level(sketch)
    return float(np.clip(1 - sketch / paper, 0, 1).mean())


def blankness(sketch: Pixels) -> float:
    """Return 1 - contrast of a sketch uint8 (H, W): 0 has ink and paper, 1 is uniform."""
    filled = np.cumsum(np.bincount(sketch.ravel(), minlength=256))
    total = filled[-1]
    low = int(np.searchsorted(filled, total * _TAIL_SHARE, side="right"))
    high = int(np.searchsorted(filled, total * (1 - _TAIL_SHARE)))
    return 1 - max(high - low, 0) / 255


def difference_hash(image: Pixels) -> str:
    """Return the 64-bit difference hash of an image uint8 (H, W, 3), in hexadecimal.

    Near-duplicates have hashes that differ in few bits. Bit (y, x) tells whether brightness falls
    from column x to x + 1 of the image reduced to 9 x 8 pixels.
    """
    size = (_HASH_WIDTH, _HASH_HEIGHT)
    small = np.asarray(Image.fromarray(image).convert("L").resize(size, Image.Resampling.BOX))
    bits = small[:, :-1] > small[:, 1:]  # (8, 8)
    return np.packbits(bits).tobytes().hex()


def measure_pair(image: Pixels, sketch: Pixels) -> dict[str, float | str]:
    """Return all statistics of a pair by column name; floats are rounded to keep the JSON short."""
    return {
        "ink_coverage": round(ink_coverage(sketch), 6),
        "blankness": round(blankness(sketch), 6),
        "image_hash": difference_hash(image),
    }
