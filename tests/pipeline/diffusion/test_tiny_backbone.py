"""The tests' own backbone is what the other tests take it for."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from tests.standins import tiny_backbone


def test_diffusers_runs_it_and_it_listens_to_seed_and_prompt(tiny_backbone_folder: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_backbone_folder)
    pipeline.set_progress_bar_config(disable=True)

    def image(prompt: str, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return pipeline(prompt, num_inference_steps=2, output_type="pt", generator=generator).images

    first = image("a red cat", 0)
    assert first.shape == (1, 3, 64, 64)
    assert torch.equal(first, image("a red cat", 0))
    assert (first - image("two blue dog", 0)).abs().max() > 1e-3
    assert (first - image("a red cat", 1)).abs().max() > 1e-2


def test_two_builds_are_equal(tiny_backbone_folder: Path, tmp_path: Path) -> None:
    again = tiny_backbone.build(tmp_path / "again")
    for name in ("unet", "vae"):
        file = f"{name}/diffusion_pytorch_model.safetensors"
        assert (again / file).read_bytes() == (tiny_backbone_folder / file).read_bytes()
