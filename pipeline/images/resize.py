"""Pictures and drawings at another size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize uint8 (H, W) or (H, W, 3): averaging when it shrinks, Lanczos when it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    method = Image.Resampling.BOX if height < picture.shape[0] else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((width, height), method))
