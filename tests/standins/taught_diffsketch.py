"""A taught DiffSketch with random weights, on the tiny backbone."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import encode_prompts
from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.recipe.recipe import Sampling
from pipeline.systems.conditions import PRIOR_FILE, Conditions

PROMPTS = ["a red cat", "two blue dog", "a house and a tree", "the green ball", "photo of a cat"]
SAMPLING = Sampling(steps=4, batch=3)
STEPS = (0, 2)


def write_teacher(
    backbone: Backbone, folder: Path, *, cdst: bool = True, vae_features: bool = True
) -> Path:
    """Write a teacher's folder as `onesketch teach` leaves it, but for record and pictures."""
    torch.manual_seed(1)
    shapes = TapShapes.of(backbone, guidance_of(SAMPLING).branches)
    GSketch(GSketchConfig(shapes, STEPS, vae_features)).save(folder)
    embeddings = encode_prompts(backbone, PROMPTS)
    ConditionPrior.fit(embeddings).save(folder / PRIOR_FILE)
    Conditions(embeddings[0], SAMPLING, cdst, backbone.fingerprint).save(folder)
    return folder
