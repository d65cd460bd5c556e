"""Pictures as other programs hold them, brought to uint8 (H, W, 3)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels
from pipeline.images.read import opacity_of, pixels_of

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Seen:
    """A picture on white, uint8 (H, W, 3), and its opacity, uint8 (H, W); None: all of it."""

    pixels: Pixels
    opacity: Pixels | None


def to_pixels(images: Picture | Sequence[Picture]) -> tuple[list[Seen], bool]:
    """Bring one picture or several to uint8 (H, W, 3), on white where they are transparent.

    Returns:
        The pictures, and whether it was a single one.

    Raises:
        ValueError: one of them is no picture; says which, what was expected and what came.
    """
    is_array = isinstance(images, np.ndarray) or _is_tensor(images)
    if isinstance(images, Image.Image):
        return [_seen(images)], True
    if is_array and cast(Any, images).ndim < 4:
        return [_seen(_array_to_image(images, "the picture"))], True
    if not is_array and (not isinstance(images, Sequence) or isinstance(images, str)):
        raise ValueError(
            f"expected a PIL image, an array, a tensor or a list of them, got {type(images)}"
        )
    return [
        _seen(image if isinstance(image, Image.Image) else _array_to_image(image, f"picture {n}"))
        for n, image in enumerate(cast(Sequence[Picture], images))
    ], False


def _seen(image: Image.Image) -> Seen:
    return Seen(pixels_of(image), opacity_of(image))


def _is_tensor(image: object) -> bool:
    # Who has a tensor has imported torch; who draws with ONNX need not.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def _array_to_image(image: Any, what: str) -> Image.Image:
    if _is_tensor(image):
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
    return Image.fromarray(np.ascontiguousarray(_bytes_of(image, what)))


def _bytes_of(image: np.ndarray[Any, Any], what: str) -> Pixels:
    if image.dtype == np.uint8:
        return cast(Pixels, image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"{what}: expected uint8, or floats in [0, 1], got {image.dtype}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{what}: expected floats in [0, 1], got {low:g} to {high:g}")
    return cast(Pixels, (image * 255 + 0.5).astype(np.uint8))
