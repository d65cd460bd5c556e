"""Pictures as other programs hold them, brought to uint8 (H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from PIL import Image
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.images.read import pixels_of

Picture: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"

_CHANNELS = (1, 3, 4)


def to_pixels(images: Picture | Sequence[Picture]) -> tuple[list[Pixels], bool]:
    """Bring one picture or several to uint8 (H, W, 3), on white where they are transparent.

    Returns:
        The pictures, and whether it was a single one.

    Raises:
        ValueError: one of them is no picture; says which, what was expected and what came.
    """
    if isinstance(images, Image.Image):
        return [pixels_of(images)], True
    if isinstance(images, np.ndarray | Tensor) and images.ndim < 4:
        return [_array_to_pixels(images, "the picture")], True
    if not isinstance(images, np.ndarray | Tensor) and not isinstance(images, Sequence):
        raise ValueError(
            f"expected a PIL image, an array, a tensor or a list of them, got {type(images)}"
        )
    pictures = []
    for number, image in enumerate(images):
        if isinstance(image, Image.Image):
            pictures.append(pixels_of(image))
        else:
            pictures.append(_array_to_pixels(image, f"picture {number}"))
    return pictures, False


def _array_to_pixels(image: Any, what: str) -> Pixels:
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] not in _CHANNELS:
            raise ValueError(f"{what}: expected a tensor (C, H, W), got {tuple(image.shape)}")
        image = image.detach().cpu().permute(1, 2, 0).numpy()
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{what}: expected a PIL image, an array or a tensor, got {type(image)}")
    shape = image.shape
    if image.ndim == 3 and shape[2] == 1:
        image = image[..., 0]
    if 0 in shape or not (image.ndim == 2 or (image.ndim == 3 and shape[2] in _CHANNELS)):
        raise ValueError(f"{what}: expected (H, W), (H, W, 3) or (H, W, 4), got {shape}")
    return pixels_of(Image.fromarray(np.ascontiguousarray(_bytes_of(image, what))))


def _bytes_of(image: np.ndarray[Any, Any], what: str) -> Pixels:
    if image.dtype == np.uint8:
        return cast(Pixels, image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"{what}: expected uint8, or floats in [0, 1], got {image.dtype}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{what}: expected floats in [0, 1], got {low:g} to {high:g}")
    return cast(Pixels, (image * 255 + 0.5).astype(np.uint8))
