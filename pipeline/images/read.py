"""Image files as pixels, transparency as white paper: photographs upright in RGB, drawings grey."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from pipeline.arrays import Pixels
from pipeline.images.depth import is_deep, to_eight_bits
from pipeline.images.profile import to_srgb

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
# The transposition that each EXIF orientation asks for.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's parsers raise on damaged bytes, besides their own kinds of OSError.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


# Pillow refuses from twice its own limit on, and warns before, in words about attacks.
_MOST_MEGAPIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# All that loading an image file raises when it is missing, damaged, or no image.
UNREADABLE = (*_DAMAGED, Image.DecompressionBombError)


def read_photograph(path: Path) -> Pixels:
    """Read an image file, upright as the camera was held, on white paper where it is transparent.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: the file is missing, or is no image that can be read; names the file.
    """
    try:
        return np.asarray(_to_rgb(load_image(path, upright=True)))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such image") from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path}: too many pixels: expected at most {_MOST_MEGAPIXELS:.0f} million; make it "
            "smaller first"
        ) from error
    except _DAMAGED as error:
        if isinstance(error, PermissionError | IsADirectoryError):
            raise
        raise ValueError(
            f"{path}: cannot be read as an image ({', '.join(FORMATS)} are): {error}"
        ) from error


def read_opacity(path: Path) -> Pixels | None:
    """Return how much of an image file is there, uint8 (H, W), 255 = all; None: all of it.

    Raises:
        UNREADABLE: as `load_image`.
    """
    return opacity_of(load_image(path, upright=True))


def load_image(path: Path, upright: bool = False) -> Image.Image:
    """Load an image file as it is stored, or turned upright as the camera was held.

    Raises:
        UNREADABLE: any of them: the file is missing, or is no image that can be read.
    """
    if path.suffix.lower() in HEIF_SUFFIXES:
        return _load_heif(path)
    with Image.open(path, formats=FORMATS) as picture:
        picture.load()
        # Here, since some formats read their tags from the file.
        return _upright(picture) if upright else picture


def count_frames(path: Path) -> int:
    """Count the frames of an animation or the pages of a document; 1 where that cannot be told."""
    if path.suffix.lower() in HEIF_SUFFIXES:
        return 1
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return int(getattr(picture, "n_frames", 1))
    except UNREADABLE:
        return 1


def pixels_of(picture: Image.Image) -> Pixels:
    """Convert a picture to uint8 (H, W, 3), upright, on white paper where it is transparent."""
    return np.asarray(_to_rgb(_upright(picture)))


def opacity_of(picture: Image.Image) -> Pixels | None:
    """Return how much of a picture is there, uint8 (H, W), 255 = all; None: all of it everywhere.

    It is turned upright, as `pixels_of` does.
    """
    if not picture.has_transparency_data:
        return None
    return np.asarray(_upright(picture).convert("RGBA").getchannel("A"))


def grey_on_white(picture: Image.Image) -> Pixels:
    """Convert a drawing to uint8 (H, W), 255 = paper; what is transparent counts as paper."""
    return np.asarray(_to_rgb(picture).convert("L"))


def _load_heif(path: Path) -> Image.Image:
    """Load what iPhones write; its decoder turns it upright by itself."""
    try:
        from pi_heif import open_heif
    except ImportError as error:
        raise ValueError(
            f"reading {path.suffix} needs the extra `heif`: pip install 'onesketch[heif]'"
        ) from error
    # Not by the decoder's own opener for Pillow, which would change what other programs open.
    return open_heif(path).to_pillow()


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Drop alpha onto white paper, convert to RGB."""
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        shown = picture.convert("RGB") if picture.mode in ("RGBA", "RGB") else rgba.convert("RGB")
        rgba = Image.merge("RGBA", (*to_srgb(shown).split(), rgba.getchannel("A")))
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if is_deep(picture):
        return Image.fromarray(to_eight_bits(picture)).convert("RGB")
    return to_srgb(picture)


def _upright(picture: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it writes all tags anew, which fails when any one is damaged.
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        return picture  # Viewers that cannot read the tags show the picture as it is stored.
    return picture if turn is None else picture.transpose(turn)
