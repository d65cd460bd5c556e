"""`onesketch style`: a drawing in a style that is known."""

from pathlib import Path

from jobs.extract.photographs import read_photograph
from jobs.runtime.files import write_png
from training.styles.styles import STYLES


def draw_style(name: str, image: Path, out: Path) -> None:
    """Draw one image in a known style, at its own size; ValueError for an unknown style."""
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}: known are {', '.join(sorted(STYLES))}")
    write_png(out, STYLES[name](read_photograph(image)))
