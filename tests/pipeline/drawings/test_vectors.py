"""Drawings as SVG, rendered again by another program."""

from __future__ import annotations

import io
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import resvg_py
from PIL import Image, ImageDraw

from pipeline.arrays import Pixels
from pipeline.drawings.vectors import SVG_KINDS, SvgKind, svg_of

LARGER = 4


def shapes() -> Pixels:
    """Lines of several widths that cross, a ring, a box, a dot: drawn large, averaged down."""
    image = Image.new("L", (400 * LARGER, 300 * LARGER), 255)
    pen = ImageDraw.Draw(image)
    pen.line((80, 80, 1520, 1120), fill=0, width=20)
    pen.line((80, 1120, 1520, 80), fill=0, width=12)
    pen.ellipse((400, 200, 1200, 1000), outline=0, width=16)
    pen.rectangle((40, 400, 240, 600), outline=0, width=8)
    pen.ellipse((1400, 560, 1432, 592), fill=0)
    return np.asarray(image.resize((400, 300), Image.Resampling.BOX))


def rendered(svg: str) -> Pixels:
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, background="white"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def overlap(one: Pixels, other: Pixels) -> float:
    """Twice the common ink over the ink of both (Dice 1945)."""
    a, b = one < 128, other < 128
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(("kind", "least"), [("outline", 0.96), ("centerline", 0.92)])
def test_what_is_rendered_is_what_was_drawn(kind: SvgKind, least: float) -> None:
    drawing = shapes()
    again = rendered(svg_of(drawing, kind))
    assert again.shape == drawing.shape
    assert overlap(again, drawing) > least


def test_centre_lines_are_few_long_strokes_of_the_lines_widths() -> None:
    root = ElementTree.fromstring(svg_of(shapes(), "centerline"))
    (group,) = root
    assert group.get("fill") == "none"
    scale = float((group.get("transform") or "").removeprefix("scale(").removesuffix(")"))
    widths = sorted(scale * float(path.get("stroke-width") or 0) for path in group)
    # Two lines, a ring, a box and a dot; crossings part none of them.
    assert len(widths) == 5
    np.testing.assert_allclose(widths[:4], [2, 3, 4, 5], atol=0.6)


@pytest.mark.parametrize("kind", SVG_KINDS)
@pytest.mark.parametrize("grey", [255, 250, 0])
def test_blank_and_full_pages(kind: SvgKind, grey: int) -> None:
    again = rendered(svg_of(np.full((33, 47), grey, np.uint8), kind, threshold=0.5))
    assert again.shape == (33, 47) and (again[8:-8, 8:-8] == (0 if grey == 0 else 255)).mean() > 0.2
    assert grey == 0 or (again == 255).all()


@pytest.mark.parametrize("kind", SVG_KINDS)
def test_noise_and_specks_are_traced_without_failing(kind: SvgKind) -> None:
    drawing = np.random.default_rng(0).integers(0, 256, (64, 48), np.uint8)
    assert rendered(svg_of(drawing, kind)).shape == (64, 48)
    one = np.full((16, 16), 255, np.uint8)
    one[8, 8] = 0
    assert rendered(svg_of(one, kind)).shape == (16, 16)


@pytest.mark.parametrize("kind", SVG_KINDS)
def test_white_ink_on_black(kind: SvgKind) -> None:
    svg = svg_of(shapes(), kind, invert=True)
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, background="black"))
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert overlap(255 - seen, shapes()) > 0.9


@pytest.mark.parametrize(
    ("kind", "module"), [("outline", "vtracer"), ("centerline", "pipeline.drawings.strokes")]
)
def test_without_the_extra_it_says_so(
    kind: SvgKind, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=r"need the extra `svg`: pip install"):
        svg_of(shapes(), kind)
