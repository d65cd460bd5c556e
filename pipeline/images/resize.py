"""Pictures and drawings at another size."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import Pixels


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize uint8 (H, W) or (H, W, 3): averaging when it shrinks, Lanczos when it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    import cv2  # Here: most pictures are drawn at their own size, and need no OpenCV.

    shrinks = height < picture.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
