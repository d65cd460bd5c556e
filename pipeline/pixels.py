"""Pixels as bytes and as numbers: uint8 [0, 255] on disk, float in models; converted here only.

Models take [-1, 1] ("signed") or [0, 1] ("unit"). B: pictures, C: channels, H, W: pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.arrays import Pixels


def signed_from_uint8(x: Tensor) -> Tensor:
    """Convert uint8 of any shape to float [-1, 1], on the tensor's own device."""
    return x.float() / 127.5 - 1


def unit_from_uint8(x: Tensor) -> Tensor:
    """Convert uint8 of any shape to float [0, 1], on the tensor's own device."""
    return x.float() / 255


def unit_from_signed(x: Tensor) -> Tensor:
    """Convert floats [-1, 1] of any shape to [0, 1]."""
    return (x + 1) / 2


def signed_from_unit(x: Tensor) -> Tensor:
    """Convert floats [0, 1] of any shape to [-1, 1]."""
    return 2 * x - 1


def uint8_from_unit(x: Tensor) -> Tensor:
    """Convert float [0, 1] of any shape to uint8 on the CPU; what lies outside is clamped."""
    return (x.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def channels_first(pictures: Pixels, device: torch.device | str = "cpu") -> Tensor:
    """Bring uint8 (B, H, W, C) to a device as (B, C, H, W), still bytes."""
    # Decoded arrays may be read-only, and torch takes no negative strides (mirrored pictures).
    bytes_of = np.require(pictures, requirements=["C", "W"])
    return torch.from_numpy(bytes_of).to(device).permute(0, 3, 1, 2)


def image_to_uint8(images: Tensor) -> Pixels:
    """Convert images (B, 3, H, W) in [-1, 1] to uint8 (B, H, W, 3)."""
    pixels = uint8_from_unit(unit_from_signed(images.float()))
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def sketch_to_uint8(sketches: Tensor) -> Pixels:
    """Convert sketches (B, 1, H, W) in [0, 1] to uint8 (B, H, W), 255 = paper."""
    return uint8_from_unit(sketches)[:, 0].contiguous().numpy()


def image_from_uint8(image: Pixels) -> Tensor:
    """Convert one image, uint8 (H, W, 3), to float (1, 3, H, W) in [-1, 1]."""
    return signed_from_uint8(channels_first(image[None]))


def sketch_from_uint8(sketch: Pixels) -> Tensor:
    """Convert one sketch, uint8 (H, W), to float (1, 1, H, W) in [0, 1], 1 = paper."""
    return unit_from_uint8(channels_first(sketch[None, ..., None]))
