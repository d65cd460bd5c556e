"""Drawing with G_sketch while the taps are computed: of samples, and of real images.

Shapes: B images, L tokens, D text channels, C x h x w noise, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.inversion import (
    FIXED_POINT,
    RoundTrip,
    encode_images,
    psnr,
    replay,
    sampled_again,
    unguided,
)
from pipeline.diffusion.sampling import Step, decode, denoise
from pipeline.gsketch.aggregation import Sums
from pipeline.gsketch.network import GSketch
from pipeline.recipe.recipe import Sampling


@dataclass(frozen=True)
class InvertedDrawing:
    """Real images as the teacher draws them, and what inversion lost.

    `sketches` is (B, 1, H, W) in [0, 1]. `vae_psnr_db` (B,) compares the VAE's reconstructions with
    the images; `round_trip` measures the inversion alone.
    """

    sketches: Tensor
    vae_psnr_db: Tensor
    round_trip: RoundTrip


@torch.no_grad()
def draw_while_sampling(
    backbone: Backbone, sketcher: GSketch, embeddings: Tensor, noise: Tensor, sampling: Sampling
) -> tuple[Tensor, Tensor]:
    """Sample images and draw them, consuming each tap as soon as it is computed.

    The result equals that of `sampling.sample` followed by G_sketch, but the taps are not kept
    (0.7 GB an image at Stable Diffusion's size in half precision).

    Args:
        embeddings: (B, L, D).
        noise: (B, C, h, w).

    Returns:
        Images (B, 3, H, W) in [-1, 1] and sketches (B, 1, H, W) in [0, 1].
    """
    steps = denoise(backbone, embeddings, noise, sampling, sketcher.config.timesteps)
    sums: Sums | None = None
    latents = noise
    for step in steps:
        latents = step.latents
        sums = _accumulated(sketcher, step, sums)
    return _finished(backbone, sketcher, sums, latents)


@torch.no_grad()
def draw_while_inverting(
    backbone: Backbone,
    sketcher: GSketch,
    images: Tensor,
    embeddings: Tensor,
    sampling: Sampling,
    iterations: int = FIXED_POINT,
) -> InvertedDrawing:
    """Draw real images, consuming each tap as soon as inversion has computed it.

    The result equals that of `inversion.taps_of_images` followed by G_sketch, but the taps are not
    kept.

    Args:
        images: (B, 3, H, W) in [-1, 1], of the backbone's size.
        embeddings: (B, L, D), of prompts that describe the images.
        iterations: as `inversion.invert`.

    Raises:
        ValueError: images or embeddings have the wrong shape.
    """
    latents = encode_images(backbone, images)
    sums: Sums | None = None
    noise = latents
    for step in replay(
        backbone, embeddings, latents, sampling, sketcher.config.timesteps, iterations
    ):
        noise = step.latents
        sums = _accumulated(sketcher, step, sums)
    reconstructions, sketches = _finished(backbone, sketcher, sums, latents)
    trip = sampled_again(backbone, embeddings, latents, noise, unguided(sampling))
    return InvertedDrawing(sketches, psnr(reconstructions, images), trip)


def _accumulated(sketcher: GSketch, step: Step, sums: Sums | None) -> Sums | None:
    if step.taps is None:
        return sums
    return sketcher.aggregation.accumulate({step.t: step.taps}, sums)


def _finished(
    backbone: Backbone, sketcher: GSketch, sums: Sums | None, latents: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode latents and draw them: images (B, 3, H, W) and sketches (B, 1, H, W)."""
    assert sums is not None, "a G_sketch has at least one step"
    decoder, used = sketcher.decoder, sketcher.config.vae_features
    images, reduced = decode(backbone, latents, decoder.reduce if used else lambda _n, v: v[:0])
    return images, decoder(sketcher.aggregation.finish(sums), reduced, images)
