"""`onesketch style`: a drawing in a style that is known."""

from __future__ import annotations

from pathlib import Path

from jobs.extract.drawings import check_drawing_file
from pipeline.images.read import read_photograph
from pipeline.images.write import write_png
from training.styles.registry import STYLES


def draw_style(name: str, image: Path, out: Path) -> None:
    """Draw one image in a known style, at its own size.

    Raises:
        ValueError: the style is unknown, or the image cannot be read.
    """
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}: use one of {', '.join(sorted(STYLES))}")
    check_drawing_file(image, out)
    write_png(out, STYLES[name](read_photograph(image)))
