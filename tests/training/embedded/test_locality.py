"""Whether an autoencoder keeps what it says of a place at that place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from pipeline.pixels import channels_first, signed_from_uint8
from training.embedded.locality import far_effect, line_excess
from training.embedded.scenes.arrays import make_scenes
from training.embedded.scenes.reserved_seeds import HELD_OUT_SEEDS

WEIGHTS = Path(__file__).parents[3] / "training/embedded/weights"
SIDE = 128


class Leaking(nn.Module):
    """Averages blocks of 8 px; decoding adds a share of one row's or column's mean everywhere."""

    device = torch.device("cpu")

    def __init__(self, axis: int, place: int, share: float) -> None:
        super().__init__()
        self.axis, self.place, self.share = axis, place, share

    def encode(self, x: Tensor) -> Any:
        latents = nn.functional.avg_pool2d(x, 8)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=latents))

    def decode(self, latents: Tensor) -> Any:
        kept = latents.select(2 + self.axis, self.place).mean((1, 2))[:, None, None, None]
        near = latents.repeat_interleave(8, 2).repeat_interleave(8, 3)
        return SimpleNamespace(sample=near + self.share * kept)


@pytest.mark.parametrize(("axis", "place", "neighbour"), [(0, 15, 14), (1, 0, 1), (0, 5, 6)])
def test_what_leaks_is_measured_in_grey_levels(axis: int, place: int, neighbour: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    vae = cast(AutoencoderKL, Leaking(axis, place, share=0.5))
    latents = nn.functional.avg_pool2d(signed_from_uint8(channels_first(images)), 8)
    own = latents.select(2 + axis, place).mean((1, 2))
    other = latents.select(2 + axis, neighbour).mean((1, 2))
    expected = 0.5 * (own - other).abs().mean() * 127.5
    assert far_effect(vae, images) == pytest.approx(float(expected), rel=1e-4)


def test_what_stays_near_is_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    assert far_effect(cast(AutoencoderKL, Leaking(0, 3, share=0.0)), images) == 0


@pytest.mark.parametrize("vertical", [True, False])
def test_a_loud_line_of_pixels_is_found(vertical: bool) -> None:
    """One line of one tap is made six times as loud as the rest of an otherwise even map."""
    vae = AutoencoderKL.from_pretrained(WEIGHTS / "diffusion/vae").eval()

    def louder(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        even = torch.ones_like(output)
        even.select(3 if vertical else 2, 2).mul_(6)
        return even

    last = vae.decoder.up_blocks[-1].resnets[-1]
    for block in (vae.decoder.mid_block, *vae.decoder.up_blocks):
        for resnet in block.resnets:
            resnet.register_forward_hook(
                louder if resnet is last else lambda *a: torch.ones_like(a[2])
            )
    image = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    assert line_excess(vae, image) == pytest.approx(6.0)


def test_the_shipped_autoencoder_keeps_what_it_says_in_place() -> None:
    vae = AutoencoderKL.from_pretrained(WEIGHTS / "diffusion/vae").eval()
    images = make_scenes(HELD_OUT_SEEDS[0], 4).images
    assert far_effect(vae, images) <= 1
    assert line_excess(vae, images) <= 3
