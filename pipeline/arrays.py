"""Pictures and drawings as arrays: bytes on the CPU, for modules that need no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def check_picture(picture: Pixels) -> None:
    """Raise ValueError unless a picture is uint8 (H, W, 3) with pixels in it."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"expected a picture uint8 (H, W, 3), got {picture.dtype} "
            f"{picture.shape}; convert it to RGB first"
        )
