"""Pictures and drawings at another size."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.pixels import Pixels


def check_picture(image: Pixels) -> None:
    """Raise ValueError unless a picture is uint8 (H, W, 3) with pixels in it."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            f"expected a picture uint8 (H, W, 3), got {image.dtype} "
            f"{image.shape}; read files with a reader that gives RGB"
        )


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize uint8 (H, W) or (H, W, 3): averaging when it shrinks, Lanczos when it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = height < picture.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
