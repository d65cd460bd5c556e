"""Drawings as SVG: outlines of what is ink, or strokes along its middle."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias, get_args

from pipeline.arrays import Pixels
from pipeline.drawings.lines import ink_threshold, thresholded
from pipeline.images.resize import resized
from pipeline.images.write import png_bytes

SvgKind: TypeAlias = Literal["outline", "centerline"]
SVG_KINDS: tuple[SvgKind, ...] = get_args(SvgKind)

# How many times larger a drawing is traced, and at most how many pixels.
_SCALES: dict[SvgKind, int] = {"outline": 4, "centerline": 2}
_MOST_PIXELS = 2**25
# Specks of so many pixels on a side are noise, not ink.
_SPECK_PX = 3
_BODY = re.compile(r"<path.*", re.DOTALL)


def svg_of(
    drawing: Pixels, kind: SvgKind = "outline", threshold: float | None = None, invert: bool = False
) -> str:
    """Trace a drawing as SVG of its size, ink over nothing.

    Args:
        drawing: uint8 (H, W), 255 = paper.
        kind: "outline": filled shapes, which look like the drawing; "centerline": strokes with a
            width, which a pen can follow and a program can edit.
        threshold: in (0, 1); what is darker is ink. None: the best for this drawing.
        invert: white ink.

    Raises:
        ValueError: the extra `svg` is not installed.
    """
    height, width = drawing.shape
    limit = ink_threshold(drawing) if threshold is None else threshold
    # Edges lie between pixels, where greys say: a larger drawing shows them.
    scale = max(1, min(_SCALES[kind], int((_MOST_PIXELS / drawing.size) ** 0.5)))
    cut = thresholded(resized(drawing, scale * height, scale * width), limit)
    colour = "#fff" if invert else "#000"
    if not (cut == 0).any():
        body = ""  # A tracer may take blank paper for a shape.
    elif kind == "outline":
        body = f'<g fill="{colour}" transform="scale({1 / scale:g})">\n{_outlines(cut)}</g>\n'
    else:
        body = (
            f'<g fill="none" stroke="{colour}" stroke-linecap="round" stroke-linejoin="round" '
            f'transform="scale({1 / scale:g})">\n{_strokes(cut)}</g>\n'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n{body}</svg>\n'
    )


def _outlines(cut: Pixels) -> str:
    try:
        import vtracer
    except ImportError as error:
        raise _missing() from error
    traced = vtracer.convert_raw_image_to_svg(
        png_bytes(cut), img_format="png", colormode="binary", filter_speckle=_SPECK_PX,
        path_precision=2,
    )  # fmt: skip
    found = _BODY.search(traced)
    paths = found.group().removesuffix("\n").removesuffix("</svg>") if found else ""
    return paths.replace('fill="#000000" ', "")


def _strokes(cut: Pixels) -> str:
    try:
        from pipeline.drawings.strokes import trace_strokes
    except ImportError as error:
        raise _missing() from error
    return "".join(
        f'<path stroke-width="{stroke.width_px:.1f}" d="{stroke.path()}"/>\n'
        for stroke in trace_strokes(cut == 0)
    )


def _missing() -> ValueError:
    return ValueError("drawings as SVG need the extra `svg`: pip install 'onesketch[svg]'")
