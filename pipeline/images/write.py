"""PNG files that are written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from pipeline.arrays import Pixels
from pipeline.whole_file import write_bytes


def png_bytes(picture: Pixels) -> bytes:
    """Encode uint8 (H, W) or (H, W, 3) as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def write_png(path: Path, picture: Pixels) -> None:
    """Write uint8 (H, W) or (H, W, 3) as a PNG file, whole."""
    write_bytes(path, png_bytes(picture))
