"""The shipped embedded models: real classes, real topology, and what their card says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.resnet import ResnetBlock2D
from transformers import CLIPTokenizer

from training.embedded.figures import clip_figures, psnr
from training.embedded.scenes.arrays import SceneArrays, stack
from training.embedded.scenes.reserved_seeds import HELD_OUT_SEEDS
from training.embedded.scenes.scene import make_scene
from training.encoders.clip import load_clip
from training.encoders.lpips import load_perceptual

WEIGHTS = Path(__file__).parents[3] / "training/embedded/weights"


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(WEIGHTS / "diffusion", local_files_only=True)


@pytest.fixture(scope="module")
def scenes() -> SceneArrays:
    return stack([make_scene(HELD_OUT_SEEDS[500_000 + i]) for i in range(64)])


def test_the_whole_is_at_most_forty_megabytes() -> None:
    assert sum(f.stat().st_size for f in WEIGHTS.rglob("*")) < 40e6


def test_the_topology_is_stable_diffusions(pipeline: StableDiffusionPipeline) -> None:
    def resnets(module: torch.nn.Module) -> int:
        return sum(isinstance(m, ResnetBlock2D) for m in module.modules())

    assert resnets(pipeline.unet.up_blocks) == 12
    assert resnets(pipeline.vae.decoder) == 14
    assert 2 ** (len(pipeline.vae.config.block_out_channels) - 1) == 8


def test_diffusers_own_pipeline_draws_with_it(pipeline: StableDiffusionPipeline) -> None:
    image = pipeline("a red ball on snow", num_inference_steps=4, output_type="np").images[0]
    assert image.shape == (128, 128, 3)
    assert np.isfinite(image).all() and image.std() > 0.02


def test_the_autoencoder_keeps_edges(
    pipeline: StableDiffusionPipeline, scenes: SceneArrays
) -> None:
    vae: AutoencoderKL = pipeline.vae
    assert np.mean(psnr(vae, list(scenes.images[:16]))) >= 29


def test_clip_knows_scenes_drawings_and_captions(scenes: SceneArrays) -> None:
    clip = open_clip.create_model(f"local-dir:{WEIGHTS / 'clip'}").eval()
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "diffusion/tokenizer")
    figures = clip_figures(clip, tokenizer, scenes)
    assert figures["captions_found"] > 0.8
    assert figures["drawings_found"] > 0.15
    assert figures["drawings_told"] > 0.75


def test_the_directional_encoder_is_the_shipped_clip(scenes: SceneArrays) -> None:
    encoder = load_clip(WEIGHTS / "clip")
    x = torch.from_numpy(scenes.images[:4]).permute(0, 3, 1, 2).float() / 255
    assert encoder.image(x).norm(dim=1) == pytest.approx(torch.ones(4), abs=1e-5)


def test_the_perceptual_distance_orders_distortions(scenes: SceneArrays) -> None:
    network = load_perceptual(WEIGHTS / "perceptual")
    x = torch.from_numpy(scenes.line_art[:8])[:, None].float() / 127.5 - 1
    slight = network.distance(x, x.roll(1, dims=-1)).mean()
    other = network.distance(x, x.roll(1, dims=0)).mean()
    blank = network.distance(x, torch.ones_like(x)).mean()
    assert 0 < slight < min(other, blank) / 4


def test_the_card_gives_the_figures_of_the_weights() -> None:
    figures = json.loads((WEIGHTS / "figures.json").read_text())
    assert f"{figures['psnr_scenes']:.1f} dB" in (WEIGHTS / "README.md").read_text()
    assert figures["psnr_scenes"] >= 29
