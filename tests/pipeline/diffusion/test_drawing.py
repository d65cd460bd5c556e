"""Drawings as people save them: what is read, and what is refused with a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

from jobs.runtime.recipes import open_recipe, shipped_styles
from pipeline.arrays import Pixels
from pipeline.diffusion.drawing import (
    ExampleError,
    check_unlike_source,
    drawing_multiple,
    read_drawing,
)

SIDE = 64
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<path d="M 8 8 H 56" stroke="black" stroke-width="4" fill="none"/></svg>"""


def lines(side: int = SIDE) -> Image.Image:
    """An upright F, which no turn leaves as it is."""
    picture = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(picture)
    for box in ((16, 8, 18, 56), (16, 8, 48, 10), (16, 28, 40, 30)):
        pen.rectangle([value * side // SIDE for value in box], fill=0)
    return picture


def saved(folder: Path, picture: Image.Image, name: str = "d.png", **options: object) -> Path:
    path = folder / name
    picture.save(path, **options)
    return path


def pixels(folder: Path) -> Pixels:
    return read_drawing(saved(folder, lines(), "plain.png"), (SIDE, SIDE))


@pytest.mark.parametrize("multiple", [2, 3, 8])
def test_a_multiple_is_averaged_by_blocks(tmp_path: Path, multiple: int) -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(100, 256, (SIDE * multiple, SIDE * multiple), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(large))
    assert drawing_multiple(path, (SIDE, SIDE)) == multiple
    drawing = read_drawing(path, (SIDE, SIDE))
    for y, x in ((0, 0), (5, 40), (SIDE - 1, SIDE - 1)):
        block = large[y * multiple : (y + 1) * multiple, x * multiple : (x + 1) * multiple]
        assert drawing[y, x] == round(float(block.mean()))


@pytest.mark.parametrize("size", [(SIDE + 1, SIDE), (2 * SIDE, 3 * SIDE), (SIDE // 2, SIDE // 2)])
def test_other_sizes_are_refused_with_those_that_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    path = saved(tmp_path, lines().resize(size))
    with pytest.raises(ExampleError, match=r"64 x 64 px: draw at that size.*256 x 256.*--scale 4"):
        read_drawing(path, (SIDE, SIDE))


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_it_is_read_upright(tmp_path: Path, orientation: int) -> None:
    turn = TURNS[orientation]
    stored = lines() if turn is None else lines().transpose(turn)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = saved(tmp_path, stored, exif=exif)
    assert np.array_equal(read_drawing(path, (SIDE, SIDE)), pixels(tmp_path))


def test_white_on_black_is_asked_about(tmp_path: Path) -> None:
    path = saved(tmp_path, lines().point(lambda grey: 255 - grey))
    with pytest.raises(ExampleError, match=r"dark; expected dark lines.*invert: true"):
        read_drawing(path, (SIDE, SIDE))
    assert np.array_equal(read_drawing(path, (SIDE, SIDE), invert=True), pixels(tmp_path))
    with pytest.raises(ExampleError, match="without `invert`"):
        read_drawing(saved(tmp_path, lines()), (SIDE, SIDE), invert=True)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_that_are_no_greys_are_refused(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path, lines().convert(mode), "d.tiff")
    with pytest.raises(ExampleError, match=f"mode {mode}: save it with 8 or 16 bits"):
        read_drawing(path, (SIDE, SIDE))


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    deep = np.asarray(lines()).astype(np.uint16) * 257
    path = saved(tmp_path, Image.fromarray(deep))
    assert np.array_equal(read_drawing(path, (SIDE, SIDE)), pixels(tmp_path))


def test_an_svg_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "d.svg"
    path.write_text(SVG.format(width=SIDE, height=SIDE))
    drawing = read_drawing(path, (SIDE, SIDE))
    assert drawing.shape == (SIDE, SIDE) and drawing[7, 30] == 0 and drawing[30, 30] == 255
    assert int((drawing < 255).sum()) == 4 * 48
    path.write_text(SVG.format(width=SIDE, height=2 * SIDE))
    with pytest.raises(ExampleError, match="64 x 128 px"):
        read_drawing(path, (SIDE, SIDE))
    path.write_text("<svg")
    with pytest.raises(ExampleError, match="no SVG that can be rendered"):
        read_drawing(path, (SIDE, SIDE))


@pytest.mark.parametrize("element", ["image", "svg:image", "feImage"])
def test_an_underlay_in_an_svg_is_named(tmp_path: Path, element: str) -> None:
    """Programs keep what was drawn over, in the file or as a link to another."""
    saved(tmp_path, Image.new("L", (SIDE, SIDE), 0), "black.png")
    text = SVG.format(width=SIDE, height=SIDE).replace(
        "</svg>", f'<{element} href="{tmp_path / "black.png"}" width="64" height="64"/></svg>'
    )
    (tmp_path / "d.svg").write_text(text)
    with pytest.raises(ExampleError, match="holds a picture besides its lines"):
        read_drawing(tmp_path / "d.svg", (SIDE, SIDE))


def test_an_svg_is_drawn_as_another_renderer_draws_it(tmp_path: Path) -> None:
    """Pillow's shapes, sixteen times as large and averaged; two renderers differ at rims."""
    (tmp_path / "d.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        '<rect width="64" height="64" fill="#fff"/><circle cx="20" cy="24" r="12" fill="#111"/>'
        '<g transform="translate(4 2)"><path d="M30 40 L56 44 L34 58 Z" fill="#777"/></g></svg>'
    )
    scale = 16
    page = Image.new("L", (64 * scale, 64 * scale), 255)
    pen = ImageDraw.Draw(page)
    pen.ellipse([8 * scale, 12 * scale, 32 * scale, 36 * scale], fill=0x11)
    corners = [(34, 42), (60, 46), (38, 60)]
    pen.polygon([(x * scale, y * scale) for x, y in corners], fill=0x77)
    expected = np.asarray(page.resize((64, 64), Image.Resampling.BOX), int)
    difference = np.abs(read_drawing(tmp_path / "d.svg", (64, 64)).astype(int) - expected)
    assert difference.mean() < 1 and difference.max() < 48


def test_the_source_is_no_drawing_of_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(image).convert("L"))
    for same in (grey, 255 - grey, (grey // 2 + 90).astype(np.uint8)):
        with pytest.raises(ExampleError, match="save the lines alone"):
            check_unlike_source(same, image, tmp_path / "d.png")
    check_unlike_source(np.asarray(lines()), image, tmp_path / "d.png")
    check_unlike_source(np.asarray(lines()), np.full((SIDE, SIDE, 3), 9, np.uint8), tmp_path)


@pytest.mark.parametrize("style", shipped_styles())
def test_shipped_drawings_pass(style: str) -> None:
    path = open_recipe(style).drawing_path
    drawing = read_drawing(path, (128, 128))
    # Far from being refused: white on black is dark by nine tenths and more.
    assert (drawing < 128).mean() < 0.65
