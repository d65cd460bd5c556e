"""Pictures are written as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.write import write_png


def test_png_comes_back(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    write_png(tmp_path / "new" / "a.png", pixels)
    assert (np.asarray(Image.open(tmp_path / "new" / "a.png")) == pixels).all()
