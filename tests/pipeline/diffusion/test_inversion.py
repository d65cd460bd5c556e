"""Inversion undoes sampling: against diffusers' inverse scheduler, a literal loop, a round trip."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMInverseScheduler
from torch import Tensor

from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.inversion import (
    encode_images,
    invert,
    invert_latents,
    noise_of,
    replay,
    round_trip,
    taps_of_images,
)
from pipeline.diffusion.sampling import (
    decode,
    denoise,
    encode_prompts,
    initial_noise,
    sample,
    scheduler_of,
)
from pipeline.recipe.recipe import Sampling

PROMPTS = ["a red cat", "two blue dog on the ball"]
PLAIN = Sampling(steps=4, guidance=1.0)
GUIDED = Sampling(steps=4, guidance=3.0)


def with_scheduler(folder: Path, target: Path, **changes: Any) -> Backbone:
    shutil.copytree(folder, target)
    file = target / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return load_backbone(target)


def sampled(backbone: Backbone, sampling: Sampling, steps: tuple[int, ...] = ()) -> Any:
    noise = initial_noise(backbone, [torch.Generator().manual_seed(i) for i in range(2)])
    return sample(backbone, encode_prompts(backbone, PROMPTS), noise, sampling, steps), noise


@torch.no_grad()
def guided_prediction(
    backbone: Backbone, z: Tensor, timestep: Tensor, embeddings: Tensor, guidance: float
) -> Tensor:
    cond = backbone.unet(z, timestep, encoder_hidden_states=embeddings).sample
    empty = backbone.unconditional.expand_as(embeddings)
    uncond = backbone.unet(z, timestep, encoder_hidden_states=empty).sample
    return uncond + guidance * (cond - uncond)


@pytest.mark.parametrize("sampling", [PLAIN, GUIDED], ids=["plain", "guided"])
@pytest.mark.parametrize("to_one", [False, True])
def test_ordinary_inversion_equals_diffusers(
    tiny_backbone_folder: Path, tmp_path: Path, sampling: Sampling, to_one: bool
) -> None:
    backbone = with_scheduler(tiny_backbone_folder, tmp_path / "model", set_alpha_to_one=to_one)
    embeddings = encode_prompts(backbone, PROMPTS)
    latents = torch.randn(2, *backbone.latent_shape, generator=torch.Generator().manual_seed(1))
    reference = DDIMInverseScheduler.from_config(backbone.scheduler.config)
    reference.set_timesteps(sampling.steps)
    z, trail = latents, []
    for timestep in reference.timesteps:
        p = guided_prediction(backbone, z, timestep, embeddings, sampling.guidance)
        z = reference.step(p, timestep, z).prev_sample
        trail.append((int(timestep), z))
    ours = list(invert_latents(backbone, embeddings, latents, sampling, iterations=1))
    assert [t for t, _, _ in ours] == list(range(sampling.steps))
    for (_, timestep, z), (expected_timestep, expected) in zip(ours, trail, strict=True):
        assert int(timestep) == expected_timestep
        assert torch.allclose(z, expected, atol=1e-4)


def test_fixed_point_equals_a_literal_loop_for_velocity(
    tiny_backbone_folder: Path, tmp_path: Path
) -> None:
    """Of a model that predicts v, with the rotation of Salimans & Ho written out."""
    changes = {"prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    backbone = with_scheduler(tiny_backbone_folder, tmp_path / "model", **changes)
    embeddings = encode_prompts(backbone, PROMPTS)
    z = torch.randn(2, *backbone.latent_shape, generator=torch.Generator().manual_seed(1))
    ours = noise_of(backbone, embeddings, z, GUIDED, iterations=3)
    alpha_bars = backbone.scheduler.alphas_cumprod
    for timestep in (249, 499, 749, 999):
        angle = torch.arccos(alpha_bars[timestep].sqrt())
        before = alpha_bars[max(timestep - 250, 0)]
        turn = angle - torch.arccos(before.sqrt())
        start = z
        for _ in range(3):
            v = guided_prediction(backbone, z, torch.tensor(timestep), embeddings, GUIDED.guidance)
            z = (start + torch.sin(turn) * v) / torch.cos(turn)
    assert torch.allclose(ours, z, atol=1e-4)


def test_the_noise_of_a_sample_is_found_again(backbone: Backbone) -> None:
    embeddings = encode_prompts(backbone, PROMPTS)
    made, noise = sampled(backbone, PLAIN)
    errors = [
        (noise_of(backbone, embeddings, made.latents, PLAIN, iterations) - noise).abs().max()
        for iterations in (1, 3, 9)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


def test_round_trip_is_measured_and_better_with_fixed_point(backbone: Backbone) -> None:
    embeddings = encode_prompts(backbone, PROMPTS)
    latents = sampled(backbone, PLAIN)[0].latents
    ordinary = round_trip(backbone, embeddings, latents, PLAIN, iterations=1)
    fixed = round_trip(backbone, embeddings, latents, PLAIN, iterations=4)
    assert (fixed.latent_rmse < ordinary.latent_rmse).all()
    assert (fixed.psnr_db > ordinary.psnr_db).all()
    z = noise_of(backbone, embeddings, latents, PLAIN, iterations=1)
    again = list(denoise(backbone, embeddings, z, PLAIN, ()))[-1].latents
    rmse = ((again - latents) ** 2).mean((1, 2, 3)) ** 0.5
    assert torch.allclose(ordinary.latent_rmse, rmse)
    a, b = decode(backbone, again)[0], decode(backbone, latents)[0]
    expected = 20 * torch.log10(2 / ((a - b) ** 2).mean((1, 2, 3)).sqrt())
    assert torch.allclose(ordinary.psnr_db, expected, atol=1e-3)


def test_replayed_taps_are_those_of_sampling_where_nothing_is_guided(backbone: Backbone) -> None:
    made, noise = sampled(backbone, PLAIN, (0, 3))
    embeddings = encode_prompts(backbone, PROMPTS)
    steps = list(replay(backbone, embeddings, made.latents, PLAIN, (3, 0), iterations=9))
    assert [step.t for step in steps if step.taps is not None] == [0, 3]
    assert torch.allclose(steps[-1].latents, noise, atol=1e-3)
    for step in (steps[0], steps[3]):
        for tap, expected in zip(step.taps, made.taps.unet[step.t], strict=True):
            assert torch.allclose(tap, expected, atol=1e-3)


def test_real_images_become_samples(backbone: Backbone) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    embeddings = encode_prompts(backbone, PROMPTS)
    made = taps_of_images(backbone, images, embeddings, GUIDED, (0, 2))
    posterior = backbone.vae.encode(images).latent_dist
    expected = posterior.mean * backbone.vae.config.scaling_factor
    assert torch.allclose(made.latents, expected)
    reconstruction = backbone.vae.decode(posterior.mean).sample.clamp(-1, 1)
    assert torch.allclose(made.images, reconstruction, atol=1e-4)
    assert sorted(made.taps.unet) == [0, 2]
    reference, _ = sampled(backbone, GUIDED, (0, 2))
    shapes = [f.shape for f in made.taps.unet[2] + made.taps.vae]
    assert shapes == [f.shape for f in reference.taps.unet[2] + reference.taps.vae]
    plain = taps_of_images(backbone, images, embeddings, PLAIN, (2,))
    for both, conditioned in zip(made.taps.unet[2], plain.taps.unet[2], strict=True):
        assert torch.allclose(both[:, 1:], conditioned, atol=1e-4)
        assert not torch.allclose(both[:, :1], conditioned, atol=1e-4)


def test_mistakes(backbone: Backbone, tiny_backbone_folder: Path, tmp_path: Path) -> None:
    embeddings = encode_prompts(backbone, PROMPTS)
    latents = torch.zeros(2, *backbone.latent_shape)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 64, 64\).*resize or pad"):
        encode_images(backbone, torch.zeros(2, 3, 64, 32))
    with pytest.raises(ValueError, match="of one B"):
        next(invert_latents(backbone, embeddings[:1], latents, PLAIN))
    with pytest.raises(ValueError, match="expected latents"):
        next(invert_latents(backbone, embeddings, latents[..., :4], PLAIN))
    with pytest.raises(ValueError, match="at least 1 iteration"):
        next(invert_latents(backbone, embeddings, latents, PLAIN, iterations=0))
    with pytest.raises(ValueError, match="counted from the end"):
        next(replay(backbone, embeddings, latents, PLAIN, [4]))
    thresholding = with_scheduler(tiny_backbone_folder, tmp_path / "model", thresholding=True)
    with pytest.raises(ValueError, match="cannot be inverted"):
        next(invert_latents(thresholding, embeddings, latents, PLAIN))


def test_any_predictor_can_be_inverted_and_stopped_early(backbone: Backbone) -> None:
    """A model of pixels, linear in them: fixed-point inversion undoes the scheduler's steps."""
    scheduler = scheduler_of(backbone, 6)

    def predict(x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return 0.1 * x + 0.01 * timestep / 1000

    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x = noise
    for timestep in scheduler.timesteps:
        x = scheduler.step(predict(x, timestep), timestep, x, return_dict=False)[0]
    steps = list(invert(predict, scheduler, x, iterations=30))
    assert [t for t, _, _ in steps] == list(range(6))
    torch.testing.assert_close(steps[-1][2], noise, rtol=0, atol=1e-4)
    early = list(invert(predict, scheduler, x, iterations=30, until=2))
    assert [t for t, _, _ in early] == [0, 1, 2] and torch.equal(early[-1][2], steps[2][2])
