"""Members of shards decoded to arrays; the bytes may come from anybody."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels
from pipeline.dataset.tar import ShardError

# Four times the area of WebP pictures of 4096 pixels a side; more is an attack on memory.
MAX_PIXELS = 2**26


def decode_image(data: bytes) -> Pixels:
    """Decode an image member to uint8 (H, W, 3).

    Raises:
        ShardError: the data is not a WebP picture, broken or too large.
    """
    return _decode(data, "WEBP", "RGB")


def decode_sketch(data: bytes) -> Pixels:
    """Decode a sketch member to uint8 (H, W), 255 = paper.

    Raises:
        ShardError: the data is not a grey PNG picture, broken or too large.
    """
    return _decode(data, "PNG", "L")


def _decode(data: bytes, form: str, mode: str) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ShardError(
                    f"a picture of {width} x {height} pixels; at most {MAX_PIXELS} are allowed"
                )
            if picture.mode != mode:
                raise ShardError(f"a {form} picture of mode {picture.mode}; expected {mode}")
            return np.asarray(picture)
    except ShardError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ShardError(f"not a valid {form} picture: {error}") from error
