"""A labelled strip that shows sketches improve: one row a picture, one column an iteration.

Drawings are uint8 (H, W), pictures uint8 (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.arrays import Pixels
from pipeline.images.write import write_png

STRIP = "strip.png"

CELL = 160  # pixels; sides are in pixels throughout
GAP = 6
MARGIN = 20
HEADER = 44
LABEL_WIDTH = 176
# Readable where a page shows the strip at half its size.
FONT_SIZE = 24
PAGE, INK, FAINT, FRAME = "#ffffff", "#222222", "#777777", "#d0d0d0"
PARTS = 24  # snapshots thin out: 1/24, 1/12, 1/6, 1/3, 2/3 of the way, and the end


@dataclass(frozen=True)
class StripRow:
    """One row of a strip.

    Attributes:
        label: its name, lines separated by newlines.
        picture: uint8 (H, W, 3).
        drawing: the true one, uint8 (H, W), if there is one.
        sketches: uint8 (H, W), by iteration.
    """

    label: str
    picture: Pixels
    drawing: Pixels | None
    sketches: Mapping[int, Pixels]


def snapshot_iterations(iterations: int) -> list[int]:
    """List the iterations of a training that sketches are kept of: 0, doublings, and the end."""
    kept = {0, iterations}
    part = iterations / PARTS
    while part < iterations:
        kept.add(round(part))
        part *= 2
    return sorted(kept)


def write_strip(path: Path, rows: Sequence[StripRow]) -> None:
    """Write the strip of some rows as a PNG file, whole."""
    write_png(path, np.asarray(draw_strip(rows)))


def draw_strip(rows: Sequence[StripRow]) -> Image.Image:
    """Lay rows out under a header of iterations, every picture resized to its cell."""
    shown = sorted({i for row in rows for i in row.sketches})
    headers = ["picture", "drawing", *(_header(i) for i in shown)]
    width = 2 * MARGIN + LABEL_WIDTH + len(headers) * (CELL + GAP) - GAP
    height = 2 * MARGIN + HEADER + len(rows) * (CELL + GAP) - GAP
    page = Image.new("RGB", (width, height), PAGE)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=FONT_SIZE)
    for column, header in enumerate(headers):
        middle = _left(column) + CELL // 2
        pen.text((middle, MARGIN + HEADER // 2), header, INK, font, anchor="mm")
    for number, row in enumerate(rows):
        top = MARGIN + HEADER + number * (CELL + GAP)
        pen.multiline_text((MARGIN, top + CELL // 2), row.label, INK, font, anchor="lm", spacing=6)
        cells = [row.picture, row.drawing, *(row.sketches.get(i) for i in shown)]
        for column, cell in enumerate(cells):
            _paste(page, pen, cell, (_left(column), top), font)
    return page


def _header(iteration: int) -> str:
    return "untrained" if iteration == 0 else f"iteration {iteration}"


def _left(column: int) -> int:
    return MARGIN + LABEL_WIDTH + column * (CELL + GAP)


def _paste(
    page: Image.Image,
    pen: ImageDraw.ImageDraw,
    cell: Pixels | None,
    corner: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    left, top = corner
    if cell is None:
        middle = (left + CELL // 2, top + CELL // 2)
        pen.text(middle, "none", FAINT, font, anchor="mm")
    else:
        # Enlarging keeps pixels square and sharp; shrinking averages, so that thin lines stay.
        enlarged = max(cell.shape[:2]) < CELL
        method = Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
        page.paste(Image.fromarray(cell).resize((CELL, CELL), method).convert("RGB"), corner)
    pen.rectangle((left - 1, top - 1, left + CELL, top + CELL), outline=FRAME)
