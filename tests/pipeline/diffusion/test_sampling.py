"""Sampling equals diffusers' own pipeline; taps are what the modules put out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.resnet import ResnetBlock2D

from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import decode, denoise, encode_prompts, initial_noise, sample
from pipeline.diffusion.taps import TapShapes
from pipeline.recipe.recipe import Sampling

PROMPTS = ["a red cat", "two blue dog on the ball"]


def noise_of(backbone: Backbone, seed: int = 5, count: int = 2) -> torch.Tensor:
    return initial_noise(backbone, [torch.Generator().manual_seed(seed + i) for i in range(count)])


def with_scheduler(folder: Path, target: Path, **changes: Any) -> Path:
    shutil.copytree(folder, target)
    file = target / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return target


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")
@pytest.mark.parametrize(
    ("changes", "guidance", "steps"),
    [
        ({}, 5.0, 8),
        ({"prediction_type": "v_prediction"}, 5.0, 8),
        ({"prediction_type": "v_prediction", "set_alpha_to_one": True}, 1.0, 8),
        ({"steps_offset": 0, "clip_sample": True}, 3.0, 7),
        (
            {
                "timestep_spacing": "trailing",
                "rescale_betas_zero_snr": True,
                "prediction_type": "v_prediction",
            },
            5.0,
            5,
        ),
    ],
)
def test_equals_diffusers(
    tiny_backbone_folder: Path, tmp_path: Path, changes: dict[str, Any], guidance: float, steps: int
) -> None:
    folder = with_scheduler(tiny_backbone_folder, tmp_path / "model", **changes)
    backbone = load_backbone(folder)
    noise = noise_of(backbone)
    sampling = Sampling(steps=steps, guidance=guidance)
    ours = sample(backbone, encode_prompts(backbone, PROMPTS), noise, sampling, [0, 2])
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": steps, "guidance_scale": guidance, "latents": noise}
    theirs = pipeline(PROMPTS, output_type="pt", **options).images
    latents = pipeline(PROMPTS, output_type="latent", **options).images
    assert (ours.latents - latents).abs().max() < 1e-4
    assert ((ours.images + 1) / 2 - theirs).abs().max() < 1e-4


def test_timesteps_count_from_the_end(backbone: Backbone) -> None:
    embeddings, noise = encode_prompts(backbone, PROMPTS[:1]), noise_of(backbone, count=1)
    steps = list(denoise(backbone, embeddings, noise, Sampling(), [0, 3]))
    assert [(s.t, s.timestep) for s in steps] == [(t, 20 * t + 1) for t in range(49, -1, -1)]
    assert [s.t for s in steps if s.taps is not None] == [3, 0]


def test_shapes_are_known_before_sampling(backbone: Backbone) -> None:
    for guidance, branches in [(5.0, 2), (1.0, 1)]:
        sampling = Sampling(steps=2, guidance=guidance)
        shapes = TapShapes.of(backbone, guidance_of(sampling).branches)
        made = sample(
            backbone, encode_prompts(backbone, PROMPTS), noise_of(backbone), sampling, [1]
        )
        assert [tuple(f.shape) for f in made.taps.unet[1]] == [
            (2, branches, *s) for s in shapes.unet
        ]
        assert [tuple(v.shape) for v in made.taps.vae] == [(2, *s) for s in shapes.vae]
        assert (len(shapes.unet), len(shapes.vae), shapes.first_level) == (12, 14, 9)
        assert shapes.image_size == made.images.shape[-1] == 64


def test_taps_are_branches_before_the_residual_sum(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    branches: list[torch.Tensor] = []
    original = ResnetBlock2D.forward

    def spy(self: ResnetBlock2D, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        y = original(self, x, *args, **kwargs)
        shortcut = x if self.conv_shortcut is None else self.conv_shortcut(x)
        branches.append(y * self.output_scale_factor - shortcut)
        return y

    monkeypatch.setattr(ResnetBlock2D, "forward", spy)
    embeddings = encode_prompts(backbone, PROMPTS)
    (step,) = denoise(backbone, embeddings, noise_of(backbone), Sampling(steps=1), [0])
    assert step.taps is not None
    for tap, branch in zip(step.taps, branches[-12:], strict=True):
        uncond, cond = branch.chunk(2)
        assert torch.allclose(tap[:, 0], uncond, atol=1e-5)
        assert torch.allclose(tap[:, 1], cond, atol=1e-5)


def test_vae_taps_come_from_the_decode_and_can_be_changed(backbone: Backbone) -> None:
    latents = noise_of(backbone)
    images, features = decode(backbone, latents)
    decoder = backbone.vae.decoder
    x = decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(features[-1])))
    assert torch.allclose(x.clamp(-1, 1), images, atol=1e-5)
    _, means = decode(backbone, latents, lambda n, v: v.mean() + n)
    expected = [v.mean() + n for n, v in enumerate(features)]
    assert torch.allclose(torch.stack(means), torch.stack(expected))


def test_nothing_stays_hooked_and_the_backbone_is_unchanged(backbone: Backbone) -> None:
    before = dict(backbone.scheduler.config)
    process = denoise(
        backbone, encode_prompts(backbone, PROMPTS), noise_of(backbone), Sampling(steps=4), [0]
    )
    next(process)
    process.close()
    hooks = [m._forward_hooks for m in backbone.unet.modules()]
    assert not any(hooks)
    assert dict(backbone.scheduler.config) == before


def test_taps_can_be_cut_and_moved(backbone: Backbone) -> None:
    embeddings = encode_prompts(backbone, PROMPTS)
    taps = sample(backbone, embeddings, noise_of(backbone), Sampling(steps=2), [0]).taps
    second = taps.images(1, 2)
    assert torch.equal(second.unet[0][4], taps.unet[0][4][1:])
    assert second.size_bytes * 2 == taps.size_bytes
    assert second.to("cpu", torch.float16).size_bytes * 4 == taps.size_bytes
    assert not taps.unet[0][0].requires_grad
    assert not taps.vae[0].is_inference()


def test_mistakes(backbone: Backbone) -> None:
    embeddings, noise = encode_prompts(backbone, PROMPTS), noise_of(backbone)
    with pytest.raises(ValueError, match="counted from the end"):
        sample(backbone, embeddings, noise, Sampling(steps=3), [3])
    with pytest.raises(ValueError, match="of one B"):
        sample(backbone, embeddings[:1], noise, Sampling(steps=3), [0])
