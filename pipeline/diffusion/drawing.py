"""The drawing of an example as people save it: at a multiple of the size, turned, or as SVG."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels
from pipeline.images.read import FORMATS, UNREADABLE, grey_on_white, load_image

_LEAST_CONTRAST = 8  # grey levels between the lightest and the darkest pixel of a drawing
# Darker than this lies little of the boldest style, and all but the lines of white on black.
_MOST_DARK = 0.9
# Of the greys with the source's, without regard to sign: lines over a picture stay well below.
_MOST_ALIKE = 0.97
_VECTORS = ".svg"
# It would also be read from wherever it says.
_UNDERLAY = re.compile(r"<(\w+:)?(image|feImage)\b")


class ExampleError(ValueError):
    """A source image or drawing that cannot be used; the message says what to do."""


def read_drawing(path: Path, size: tuple[int, int], invert: bool = False) -> Pixels:
    """Read a drawing as uint8 (H, W), 255 = paper; what is transparent counts as paper.

    Args:
        path: the picture: upright by its EXIF orientation, or an SVG, which is rendered.
        size: (H, W) of the source image. A whole multiple of it is averaged down.
        invert: it is white on black.

    Raises:
        ExampleError: missing, unreadable, of another size, of numbers that are no greys, blank, or
            white on black without `invert`.
    """
    picture = _open_drawing(path, size)
    multiple = _multiple(path, picture, size)
    if picture.mode in "IF":
        raise ExampleError(
            f"drawing {path} has mode {picture.mode}: save it with 8 or 16 bits a channel"
        )
    drawing = _block_means(grey_on_white(picture), multiple)
    if invert:
        drawing = 255 - drawing
    if int(drawing.max()) - int(drawing.min()) < _LEAST_CONTRAST:
        raise ExampleError(f"drawing {path} is blank: draw dark lines on white")
    dark = float((drawing < 128).mean())
    if dark > _MOST_DARK:
        wanted = "without `invert`" if invert else "with `example: {..., invert: true}`"
        raise ExampleError(
            f"drawing {path}: {dark:.0%} of it is dark; expected dark lines on white paper. If it "
            f"is white on black, read it {wanted}"
        )
    return drawing


def drawing_multiple(path: Path, size: tuple[int, int]) -> int:
    """Return how many times larger than the source image, (H, W), a drawing is a side.

    Raises:
        ExampleError: missing, unreadable, or no whole multiple.
    """
    return _multiple(path, _open_drawing(path, size), size)


def check_unlike_source(drawing: Pixels, image: Pixels, path: Path) -> None:
    """Refuse the source image in place of a drawing, and one that shines through.

    Args:
        drawing: uint8 (H, W).
        image: uint8 (H, W, 3).

    Raises:
        ExampleError: the greys of both are nearly the same, or nearly opposite.
    """
    greys = grey_on_white(Image.fromarray(image))
    if int(greys.max()) == int(greys.min()):
        return
    alike = abs(float(np.corrcoef(drawing.ravel(), greys.ravel())[0, 1]))
    if alike > _MOST_ALIKE:
        raise ExampleError(
            f"drawing {path} has the greys of the image that was to be drawn over (correlation "
            f"{alike:.2f}): save the lines alone, without the picture below them"
        )


def open_picture(path: Path, what: str) -> Image.Image:
    """Open a picture upright; ExampleError where it is missing or cannot be read."""
    if not path.is_file():
        raise ExampleError(f"{what} {path} is missing: save it there, or correct the recipe")
    try:
        return load_image(path, upright=True)
    except UNREADABLE as error:
        raise ExampleError(
            f"{what} {path} cannot be read ({error}): expected one of {', '.join(FORMATS)}"
        ) from error


def _open_drawing(path: Path, size: tuple[int, int]) -> Image.Image:
    if path.suffix.lower() == _VECTORS and path.is_file():
        return _render(path, size)
    return open_picture(path, "drawing")


def _render(path: Path, size: tuple[int, int]) -> Image.Image:
    """Render an SVG on white, as wide as the source; its height follows from its own shape."""
    # Nothing else needs it, and it need not be there to read PNG.
    import resvg_py

    _, width = size
    try:
        text = path.read_text(encoding="utf-8")
        if _UNDERLAY.search(text):
            raise ExampleError(
                f"drawing {path} holds a picture besides its lines: remove the <image>, as which "
                "programs keep what was drawn over, and save it again"
            )
        data = resvg_py.svg_to_bytes(svg_string=text, width=width, background="white")
    except (ValueError, OSError) as error:
        if isinstance(error, ExampleError):
            raise
        raise ExampleError(f"drawing {path} is no SVG that can be rendered: {error}") from error
    with Image.open(io.BytesIO(bytes(data))) as picture:
        picture.load()
        return picture


def _multiple(path: Path, picture: Image.Image, size: tuple[int, int]) -> int:
    height, width = size
    multiple = max(1, picture.width // width)
    if picture.size != (multiple * width, multiple * height):
        raise ExampleError(
            f"drawing {path} is {picture.width} x {picture.height} px, its source image is "
            f"{width} x {height} px: draw at that size, or at a whole multiple of it such as "
            f"{4 * width} x {4 * height}; `onesketch source --scale 4` gives a picture to draw over"
        )
    return multiple


def _block_means(drawing: Pixels, multiple: int) -> Pixels:
    """Average blocks of multiple x multiple pixels, rounded: (k H, k W) -> (H, W)."""
    if multiple == 1:
        return drawing
    height, width = drawing.shape[0] // multiple, drawing.shape[1] // multiple
    blocks = drawing.reshape(height, multiple, width, multiple)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)
