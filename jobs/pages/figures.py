"""Pictures inside a page: pixels as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from pipeline.arrays import Pixels

_PHOTO_QUALITY = 86


@dataclass(frozen=True)
class Figure:
    """One picture of a page: `alt` describes it, `caption` says its purpose; sizes in pixels."""

    uri: str
    alt: str
    caption: str
    width: int
    height: int


def make_figure(pixels: Pixels, alt: str, caption: str = "", max_side: int = 448) -> Figure:
    """Make a figure.

    Args:
        pixels: uint8 (H, W) or (H, W, 3).
        alt: text for readers who cannot see the picture.
        caption: what the picture is for.
        max_side: pixels of the longer side at most; larger pictures are scaled down.
    """
    picture = shrink(Image.fromarray(pixels), max_side)
    return Figure(_to_data_uri(picture), alt, caption, picture.width, picture.height)


def shrink(picture: Image.Image, max_side: int) -> Image.Image:
    """Scale down to at most max_side pixels a side; smaller pictures stay as they are."""
    if max(picture.size) <= max_side:
        return picture
    scale = max_side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _to_data_uri(picture: Image.Image) -> str:
    """Encode as a WebP data URI: drawings without loss, which keeps lines clean."""
    buffer = io.BytesIO()
    drawing = picture.mode == "L"
    picture.save(buffer, format="WEBP", lossless=drawing, quality=_PHOTO_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
