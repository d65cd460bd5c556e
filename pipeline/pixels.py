"""Pixels at the border: uint8 [0, 255] on disk, float in models; the one place that converts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def image_to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Convert images (B, 3, H, W) in [-1, 1] to uint8 (B, H, W, 3)."""
    return _to_uint8((images.float() + 1) / 2).permute(0, 2, 3, 1).contiguous().numpy()


def sketch_to_uint8(sketches: Tensor) -> NDArray[np.uint8]:
    """Convert sketches (B, 1, H, W) in [0, 1] to uint8 (B, H, W), 255 = paper."""
    return _to_uint8(sketches.float())[:, 0].contiguous().numpy()


def image_from_uint8(image: NDArray[np.uint8]) -> Tensor:
    """Convert one image, uint8 (H, W, 3), to float (1, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    return pixels.float() / 127.5 - 1


def sketch_from_uint8(sketch: NDArray[np.uint8]) -> Tensor:
    """Convert one sketch, uint8 (H, W), to float (1, 1, H, W) in [0, 1], 1 = paper."""
    return torch.from_numpy(np.array(sketch))[None, None].float() / 255


def _to_uint8(x: Tensor) -> Tensor:
    return (x.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
