"""Whether the autoencoder keeps what it says of a place at that place.

One whose latent stores something of the whole picture in its last row gives taps in which that row
drowns the rest. Shapes: B pictures, h x w latents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.diffusion.taps import decoder_resnets, recording
from pipeline.pixels import channels_first, signed_from_uint8
from training.embedded.models.autoencoder import FACTOR

# Pixels from a latent's own ones; what is nearer is its neighbourhood, which convolutions see.
FAR = 32
# Grey levels of one step of a decoder's output in [-1, 1].
_LEVELS = 127.5


@torch.no_grad()
def far_effect(vae: AutoencoderKL, images: Pixels) -> float:
    """Measure how much a row or column of the latent moves pixels that are far from it.

    Each is replaced by its neighbour towards the middle, and pixels of `FAR` and more from it are
    compared.

    Args:
        images: uint8 (B, H, W, 3), at least 2 * FAR + FACTOR pixels a side.

    Returns:
        The mean absolute difference of the row or column that moves them most, in grey levels.
    """
    latents = _encode(vae, images)
    before = _decode(vae, latents)
    most = 0.0
    for axis, place, changed in _replaced(latents):
        difference = (_decode(vae, changed) - before).abs().mean((0, 1)).mean(1 - axis) * _LEVELS
        pixels = torch.arange(len(difference), device=difference.device)
        start = place * FACTOR
        far = (pixels < start - FAR) | (pixels >= start + FACTOR + FAR)
        most = max(most, difference[far].mean().item())
    return most


@torch.no_grad()
def line_excess(vae: AutoencoderKL, images: Pixels) -> float:
    """Measure how far the loudest pixel row or column of the decoder's taps stands out.

    Args:
        images: uint8 (B, H, W, 3).

    Returns:
        Its root mean square over that of its map's interior, the largest over all taps.
    """
    with recording(decoder_resnets(vae)) as recorder:
        _decode(vae, _encode(vae, images))
        return max(_excess(tap) for tap in recorder.take())


def _excess(tap: Tensor) -> float:
    power = tap.square().mean((0, 1))  # (h, w)
    margin = max(len(power) // 8, 1)
    interior = power[margin:-margin, margin:-margin].mean()
    rows, columns = power.mean(1), power.mean(0)
    return float((torch.maximum(rows.max(), columns.max()) / interior).sqrt())


def _replaced(latents: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Yield axis (0: rows), place, and the latents with that row or column as its neighbour."""
    for axis in (0, 1):
        length = latents.shape[2 + axis]
        for place in range(length):
            changed = latents.clone()
            neighbour = place + 1 if place < length // 2 else place - 1
            changed.select(2 + axis, place).copy_(latents.select(2 + axis, neighbour))
            yield axis, place, changed


def _encode(vae: AutoencoderKL, images: Pixels) -> Tensor:
    x = signed_from_uint8(channels_first(images)).to(vae.device)
    return cast(Tensor, vae.encode(x).latent_dist.mean)


def _decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    return cast(DecoderOutput, vae.decode(latents)).sample
