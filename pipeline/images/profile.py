"""Pictures in the colours that screens show, sRGB, whatever their file's colour profile is."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

_MODES = ("L", "RGB", "CMYK", "LAB")


def to_srgb(picture: Image.Image) -> Image.Image:
    """Convert a picture to RGB in sRGB; a profile that is damaged or for other colours is ignored.

    Args:
        picture: without transparency.
    """
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in _MODES:
        return picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # As most files are: theirs are sRGB's numbers already, and they stay as they are.
        if ImageCms.getProfileDescription(source).strip().startswith("sRGB"):
            return picture.convert("RGB")
        converted = ImageCms.profileToProfile(picture, source, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture.convert("RGB")  # As viewers do.
    return picture.convert("RGB") if converted is None else converted


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
