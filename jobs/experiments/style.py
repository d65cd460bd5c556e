"""`onesketch style`: a drawing in a style that is known."""

from __future__ import annotations

from pathlib import Path

from jobs.extract.drawings import check_drawing_file
from pipeline.images.read import read_photograph
from pipeline.images.write import png_bytes
from pipeline.whole_file import write_bytes
from training.styles.registry import STYLES


def draw_style(name: str, image: Path, out: Path) -> None:
    """Draw one image in a known style, at its own size.

    Raises:
        ValueError: the style is unknown, the image cannot be read, or `out` is another file.
    """
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}: use one of {', '.join(sorted(STYLES))}")
    check_drawing_file(image, out)
    drawing = png_bytes(STYLES[name](read_photograph(image)))
    if out.exists() and out.read_bytes() != drawing:
        raise ValueError(f"--out {out} is there, and another picture: give another name")
    write_bytes(out, drawing)
