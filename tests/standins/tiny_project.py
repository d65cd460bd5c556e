"""A tiny project with a recipe, an example and models of random weights, for trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.example import make_source, write_source
from pipeline.recipe.recipe import parse_recipe
from tests.standins.tiny_encoders import write_clip, write_perceptual
from training.oneshot.inputs import TeachInputs
from training.styles.baselines import sobel

PROMPTS = ("a red cat", "a blue dog", "a green house", "two balls")
DIFFSKETCH = {"iterations": 4, "diffusion_duration": 3, "timesteps": [0, 2]}


def make_inputs(folder: Path, backbone: Path, teach: dict[str, Any]) -> TeachInputs:
    """Write the example into a folder and give what a training of it starts from."""
    data = {
        "style": "tiny",
        "backbone": str(backbone),
        "example": {"prompt": PROMPTS[0], "seed": 3, "drawing": "drawing.png"},
        "sampler": {"steps": 3, "guidance": 2.0, "batch": 2},
        "teach": teach,
        "dataset": {"samples": 6, "shard_size": 3, "out": str(folder / "dataset")},
        "run": str(folder),
    }
    recipe = parse_recipe(data, folder)
    source = make_source(load_backbone(backbone), recipe.example, recipe.sampler)
    write_source(source, folder / "source")
    Image.fromarray(sobel(source.image)).save(folder / "drawing.png")
    return TeachInputs(
        recipe=recipe,
        source=folder / "source",
        locations={
            "backbone": str(backbone),
            "clip": str(write_clip(folder / "clip")),
            "perceptual": str(write_perceptual(folder / "perceptual")),
        },
        prompts=PROMPTS,
        device="cpu",
        dtype=torch.float32,
    )
