"""DDIM sampling with classifier-free guidance and taps: StableDiffusionPipeline, opened up.

Shapes: B images, L tokens, D text channels, C x h x w latents, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.backbone import Backbone, embed
from pipeline.diffusion.guidance import TEXT, Guidance, guidance_of
from pipeline.diffusion.taps import Taps, recording, unet_modules, vae_modules
from pipeline.recipe.recipe import Sampling

_PROMPTS_AT_ONCE = 64

# Of latents (B, C, h, w) at a timestep: the prediction, of the latents' shape.
Predictor = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """One DDIM step just taken.

    `t` counts from the END (0 = the last step), `timestep` is the scheduler's; `latents`
    (B, C, h, w) come out of the step; `taps` are its f_{l,t}, (B, branches, C_l, h_l, w_l), or None
    where the step is not tapped.
    """

    t: int
    timestep: int
    latents: Tensor
    taps: list[Tensor] | None


@dataclass(frozen=True)
class Sample:
    """A batch of samples: images (B, 3, H, W) in [-1, 1], latents (B, C, h, w), and their taps."""

    images: Tensor
    latents: Tensor
    taps: Taps


def encode_prompts(backbone: Backbone, prompts: Sequence[str]) -> Tensor:
    """Embed prompts: (B, L, D) in the backbone's dtype, L the tokenizer's length."""
    return embed(backbone.text_encoder, backbone.tokenizer, list(prompts))


def embed_prompts(backbone: Backbone, prompts: Sequence[str]) -> Tensor:
    """Embed any number of prompts, in batches: float32 (N, L, D) on the CPU."""
    parts = [prompts[i : i + _PROMPTS_AT_ONCE] for i in range(0, len(prompts), _PROMPTS_AT_ONCE)]
    return torch.cat([encode_prompts(backbone, part).float().cpu() for part in parts])


def initial_noise(backbone: Backbone, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw the noise of one sample per generator: float32 (B, C, h, w) on the CPU."""
    shape = backbone.latent_shape
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


@torch.no_grad()
def denoise(
    backbone: Backbone,
    embeddings: Tensor,
    noise: Tensor,
    sampling: Sampling,
    timesteps: Collection[int],
) -> Iterator[Step]:
    """Run DDIM and yield every step, with taps for the steps named in `timesteps`.

    Args:
        embeddings: (B, L, D), one condition per image.
        noise: (B, C, h, w), standard normal.
        sampling: number of steps and guidance scale.
        timesteps: steps to tap, counted from the END.

    Raises:
        ValueError: a step outside the process, or embeddings and noise that do not belong together.
    """
    _check(embeddings, noise, sampling, timesteps)
    scheduler = scheduler_of(backbone, sampling.steps)
    guidance = guidance_of(sampling)
    predict = predictor_of(backbone, embeddings, guidance)
    latents = noise.to(backbone.device, backbone.dtype) * scheduler.init_noise_sigma
    with recording(unet_modules(backbone)) as recorder:
        for t, timestep in zip(_falling(sampling.steps), scheduler.timesteps, strict=True):
            recorder.active = t in timesteps
            prediction = predict(latents, timestep)
            latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
            taps = guidance.split(recorder.take()) if recorder.active else None
            yield Step(t, int(timestep), latents, taps)


def check_timesteps(timesteps: Collection[int], sampling: Sampling) -> None:
    """Raise ValueError for a step to tap, counted from the END, that is not of the process."""
    outside = [t for t in timesteps if not 0 <= t < sampling.steps]
    if outside:
        raise ValueError(
            f"steps to tap must lie in 0..{sampling.steps - 1}, counted from the end; got {outside}"
        )


def scheduler_of(backbone: Backbone, steps: int) -> Any:
    """Return a scheduler of its own set to `steps` steps: the backbone is shared."""
    scheduler: Any = type(backbone.scheduler).from_config(backbone.scheduler.config)
    scheduler.set_timesteps(steps, device=backbone.device)
    return scheduler


def predictor_of(backbone: Backbone, embeddings: Tensor, guidance: Guidance) -> Predictor:
    """Return what the UNet predicts under the conditions of a batch, guided.

    Args:
        embeddings: (B, L, D), one condition per image.

    Returns:
        A function of latents (B, C, h, w) and a timestep; its UNet sees (R B, C, h, w).

    Raises:
        ValueError: the guidance asks for a condition other than the text.
    """
    other = sorted(frozenset[str]().union(*guidance.subsets) - {TEXT})
    if other:
        raise ValueError(f"the backbone knows the condition {TEXT!r} only; got {', '.join(other)}")
    text = embeddings.to(backbone.device, backbone.dtype)
    nothing = backbone.unconditional.expand_as(text)
    contexts = [text if TEXT in subset else nothing for subset in guidance.subsets]
    context = contexts[0] if len(contexts) == 1 else torch.cat(contexts)  # (R B, L, D)

    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        x = torch.cat([latents] * guidance.branches)
        return guidance.combine(
            backbone.unet(x, timestep, encoder_hidden_states=context, return_dict=False)[0]
        )

    return predict


@torch.no_grad()
def decode(
    backbone: Backbone, latents: Tensor, change: Callable[[int, Tensor], Tensor] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Decode latents (B, C, h, w) once.

    Args:
        change: what to keep of feature v_n instead of v_n itself, as in `taps.recording`.

    Returns:
        Images (B, 3, H, W) in [-1, 1], and the VAE decoder's features v_n.
    """
    z = latents.to(backbone.dtype) / backbone.vae.config["scaling_factor"]
    with recording(vae_modules(backbone), change) as recorder:
        images = backbone.vae.decode(z, return_dict=False)[0]
        return images.clamp(-1, 1), recorder.take()


def sample(
    backbone: Backbone,
    embeddings: Tensor,
    noise: Tensor,
    sampling: Sampling,
    timesteps: Sequence[int],
) -> Sample:
    """Sample images together with their taps; arguments and errors as `denoise`."""
    taps: dict[int, list[Tensor]] = {}
    latents = noise
    for step in denoise(backbone, embeddings, noise, sampling, timesteps):
        latents = step.latents
        if step.taps is not None:
            taps[step.t] = step.taps
    images, vae = decode(backbone, latents)
    return Sample(images=images, latents=latents, taps=Taps(unet=taps, vae=vae))


def _falling(steps: int) -> range:
    return range(steps - 1, -1, -1)


def _check(
    embeddings: Tensor, noise: Tensor, sampling: Sampling, timesteps: Collection[int]
) -> None:
    check_timesteps(timesteps, sampling)
    if embeddings.ndim != 3 or noise.ndim != 4 or len(embeddings) != len(noise):
        raise ValueError(
            "expected embeddings (B, L, D) and noise (B, C, h, w) of one B; "
            f"got {tuple(embeddings.shape)} and {tuple(noise.shape)}"
        )
