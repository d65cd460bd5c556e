"""DDIM inversion: from a real image to the noise that sampling would have made it from.

A DDIM step is affine in the latents and in the prediction: z_{t-1} = A_t z_t + B_t p(z_t, t) (Song
et al. 2020, equation 12), so that inverting it means to solve

    z_t = (z_{t-1} - B_t p(z_t, t)) / A_t.                                                      (*)

Ordinary inversion lets the prediction of z_{t-1} stand in for that of z_t: it is the first iterate
of (*); fixed-point inversion takes a few more. A_t and B_t come from the scheduler itself, so
that spacing, offset, prediction type and the last step's alpha are the sampler's own.

Decisions (measured: docs/results.md, "Real pictures through the teacher"):
- Fixed-point inversion with a few iterations, not ordinary inversion.
- Taps by `replay` of a trajectory inverted without guidance; nothing is sampled again.
- Photographs need no caption: the empty prompt is their condition.

Shapes: B images, L tokens, D text channels, C x h x w latents, H x W pixels. Steps t are counted
from the END, as everywhere: inversion goes from t = 0 upwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import (
    Predictor,
    Sample,
    Step,
    check_timesteps,
    decode,
    denoise,
    predictor_of,
    scheduler_of,
)
from pipeline.diffusion.taps import Taps, recording, unet_modules
from pipeline.recipe.recipe import Sampling

ORDINARY = 1
FIXED_POINT = 3
LEAST_MSE = 1e-12  # so that equal images get a PSNR that JSON can hold


@dataclass(frozen=True)
class RoundTrip:
    """What inverting and sampling again lost, per image (B,).

    `latent_rmse` is in units of the latents (their standard deviation is near 1); `psnr_db` is of
    the image sampled again against the VAE's reconstruction, which no inversion can surpass.
    """

    latent_rmse: Tensor
    psnr_db: Tensor


@torch.no_grad()
def encode_images(backbone: Backbone, images: Tensor) -> Tensor:
    """Encode images (B, 3, H, W) in [-1, 1]: latents (B, C, h, w), the posterior's mode.

    Raises:
        ValueError: the images are not of the backbone's size.
    """
    side = backbone.image_size
    if images.ndim != 4 or images.shape[1:] != (3, side, side):
        raise ValueError(
            f"expected images (B, 3, {side}, {side}), the backbone's size; "
            f"got {tuple(images.shape)}: resize or pad them first"
        )
    encoded: Any = backbone.vae.encode(images.to(backbone.device, backbone.dtype))
    return encoded.latent_dist.mode() * backbone.vae.config["scaling_factor"]


@torch.no_grad()
def invert(
    predict: Predictor,
    scheduler: Any,
    z: Tensor,
    iterations: int = FIXED_POINT,
    until: int | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Run DDIM backwards and yield (t, timestep, z_t), t = 0 first: what each step starts from.

    Any model and any condition will do: the latents may as well be pixels.

    Args:
        predict: the model's prediction under the condition that z was made with.
        scheduler: set to the process's timesteps.
        z: (B, C, h, w), what the process ended at, on the model's device.
        iterations: evaluations of (*) per step; 1 is ordinary DDIM inversion.
        until: the last step to yield, counted from the END; all of them by default.

    Raises:
        ValueError: no iteration, or a scheduler whose step is not affine.
    """
    if iterations < 1:
        raise ValueError(f"expected at least 1 iteration per step; got {iterations}")
    if scheduler.config["thresholding"]:
        raise ValueError("a scheduler with dynamic thresholding cannot be inverted: turn it off")
    for t, timestep in enumerate(reversed(scheduler.timesteps)):
        a, b = step_factors(scheduler, timestep)
        before = z
        for _ in range(iterations):
            z = (before - b * predict(z, timestep)) / a
        yield t, timestep, z
        if t == until:
            return


def invert_latents(
    backbone: Backbone,
    embeddings: Tensor,
    latents: Tensor,
    sampling: Sampling,
    iterations: int = FIXED_POINT,
    until: int | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Invert the backbone's own sampling; yields and raises as `invert`.

    Args:
        embeddings: (B, L, D), one condition per image.
        latents: (B, C, h, w), what sampling should end at.
        sampling: number of steps and guidance scale of the process that is inverted.

    Raises:
        ValueError: embeddings and latents that do not belong together.
    """
    _check(backbone, embeddings, latents)
    return invert(
        predictor_of(backbone, embeddings, guidance_of(sampling)),
        scheduler_of(backbone, sampling.steps),
        latents.to(backbone.device, backbone.dtype),
        iterations,
        until,
    )


def step_factors(scheduler: Any, timestep: Tensor) -> tuple[float, float]:
    """Return A_t and B_t of the scheduler's step at `timestep`: z_{t-1} = A_t z_t + B_t p."""
    one = torch.ones(1, dtype=torch.float64)
    zero = torch.zeros_like(one)
    a = scheduler.step(zero, timestep, one, return_dict=False)[0]
    b = scheduler.step(one, timestep, zero, return_dict=False)[0]
    return a.item(), b.item()


def noise_of(
    backbone: Backbone,
    embeddings: Tensor,
    latents: Tensor,
    sampling: Sampling,
    iterations: int = FIXED_POINT,
) -> Tensor:
    """Return the noise (B, C, h, w) that sampling makes `latents` from; as `invert_latents`."""
    *_, (_, _, noise) = invert_latents(backbone, embeddings, latents, sampling, iterations)
    return noise


def round_trip(
    backbone: Backbone,
    embeddings: Tensor,
    latents: Tensor,
    sampling: Sampling,
    iterations: int = FIXED_POINT,
) -> RoundTrip:
    """Invert latents (B, C, h, w), sample again with the same guidance, and compare."""
    noise = noise_of(backbone, embeddings, latents, sampling, iterations)
    return sampled_again(backbone, embeddings, latents, noise, sampling)


@torch.no_grad()
def sampled_again(
    backbone: Backbone, embeddings: Tensor, latents: Tensor, noise: Tensor, sampling: Sampling
) -> RoundTrip:
    """Sample from the noise that inversion found and compare with `latents` (B, C, h, w)."""
    *_, last = denoise(backbone, embeddings, noise, sampling, ())
    original = latents.to(last.latents.device)
    error = (last.latents.float() - original.float()).square().mean((1, 2, 3)).sqrt()
    images, _ = decode(backbone, last.latents)
    reconstructions, _ = decode(backbone, original)
    return RoundTrip(latent_rmse=error.cpu(), psnr_db=psnr(images, reconstructions))


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images (B, 3, H, W) in [-1, 1], per image: (B,) in dB."""
    difference = (images.float() - others.float().to(images.device)) / 2  # of a range of width 1
    mse = difference.square().mean((1, 2, 3)).clamp_min(LEAST_MSE)
    return -10 * mse.log10().cpu()


@torch.no_grad()
def replay(
    backbone: Backbone,
    embeddings: Tensor,
    latents: Tensor,
    sampling: Sampling,
    timesteps: Collection[int],
    iterations: int = FIXED_POINT,
    until: int | None = None,
) -> Iterator[Step]:
    """Yield the steps of the process that would have ended at `latents`, t = 0 first.

    Nothing is sampled again, so nothing drifts: inversion runs without guidance, and at the
    latents found the UNet runs once more as guided sampling runs it, for the taps of both branches.

    Args:
        latents: (B, C, h, w), from `encode_images`.
        sampling: the process whose steps and branches the taps are of.
        timesteps: steps to tap, counted from the END.
        until: the last step to yield; all of them by default.

    Yields:
        Steps whose `latents` are z_t, what the step starts from; the last one's are the noise.

    Raises:
        ValueError: as `invert`, or a step outside the process.
    """
    check_timesteps(timesteps, sampling)
    guidance = guidance_of(sampling)
    predict = predictor_of(backbone, embeddings, guidance)
    steps = invert_latents(backbone, embeddings, latents, unguided(sampling), iterations, until)
    for t, timestep, z in steps:
        taps = None
        if t in timesteps:
            with recording(unet_modules(backbone)) as recorder:
                predict(z, timestep)
                taps = guidance.split(recorder.take())
        yield Step(t, int(timestep), z, taps)


def unguided(sampling: Sampling) -> Sampling:
    """Return the settings at guidance 1: the process that `replay` inverts."""
    return sampling.model_copy(update={"guidance": 1.0})


def taps_of_images(
    backbone: Backbone,
    images: Tensor,
    embeddings: Tensor,
    sampling: Sampling,
    timesteps: Sequence[int],
    iterations: int = FIXED_POINT,
) -> Sample:
    """Return real images as if they had been sampled, with their taps.

    Args:
        images: (B, 3, H, W) in [-1, 1], of the backbone's size.
        embeddings: (B, L, D), what the images show.
        sampling, timesteps: as `sampling.sample`.
        iterations: as `invert`.

    Returns:
        A sample whose images are the VAE's reconstructions of `images`.

    Raises:
        ValueError: wrong shapes, or a step outside the process.
    """
    latents = encode_images(backbone, images)
    taps = {}
    until = max(timesteps)
    for step in replay(backbone, embeddings, latents, sampling, timesteps, iterations, until):
        if step.taps is not None:
            taps[step.t] = step.taps
    reconstructions, vae = decode(backbone, latents)
    return Sample(images=reconstructions, latents=latents, taps=Taps(unet=taps, vae=vae))


def _check(backbone: Backbone, embeddings: Tensor, latents: Tensor) -> None:
    if embeddings.ndim != 3 or latents.ndim != 4 or len(embeddings) != len(latents):
        raise ValueError(
            "expected embeddings (B, L, D) and latents (B, C, h, w) of one B; "
            f"got {tuple(embeddings.shape)} and {tuple(latents.shape)}"
        )
    if latents.shape[1:] != backbone.latent_shape:
        raise ValueError(
            f"expected latents (B, {', '.join(map(str, backbone.latent_shape))}), the "
            f"backbone's; got {tuple(latents.shape)}"
        )
