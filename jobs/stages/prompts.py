"""The prompts whose embeddings the condition prior is fitted to (paper D.2: about 1,000)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from jobs.runtime.weights import EMBEDDED
from jobs.stages.general_prompts import general_prompts
from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.sampling import encode_prompts
from pipeline.recipe import Recipe
from training.embedded.scenes.scene import make_scene

NUM_PROMPTS = 1000
BATCH = 64
OWN_LIST = "prompts.txt"
# Captions do not need pixels, so that the smallest scenes do.
CAPTION_SCENE_PX = 32
# Scenes that train and judge the embedded models have other seeds.
FIRST_CAPTION_SEED = 2**41


def read_prompts(path: Path) -> list[str]:
    """Read one prompt a line, empty lines left out; ValueError without a file or a prompt."""
    if not path.is_file():
        raise ValueError(f"prompts {path}: no such file; expected a text file, one prompt a line")
    prompts = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    prompts = [prompt for prompt in prompts if prompt]
    if not prompts:
        raise ValueError(f"prompts {path}: the file is empty; expected one prompt a line")
    return prompts


def scene_captions() -> list[str]:
    """Caption scenes: the list for the embedded model, which knows no other world."""
    seeds = range(FIRST_CAPTION_SEED, FIRST_CAPTION_SEED + NUM_PROMPTS)
    return [make_scene(seed, CAPTION_SCENE_PX).caption for seed in seeds]


def choose_prompts(recipe: Recipe, backbone: Path) -> Sequence[str]:
    """Choose the recipe's prompts, else the list beside the backbone's weights, else a default."""
    return prompts_for(recipe.backbone, backbone, recipe.prompts_path)


def prompts_for(name: str, folder: Path, path: Path | None) -> Sequence[str]:
    """Choose the prompts of a backbone by its name and folder; a file of prompts comes first."""
    if path is not None:
        return read_prompts(path)
    if (folder / OWN_LIST).is_file():
        return read_prompts(folder / OWN_LIST)
    return scene_captions() if name == EMBEDDED else general_prompts(NUM_PROMPTS)


def embed_prompts(backbone: Backbone, prompts: Sequence[str]) -> Tensor:
    """Embed prompts, as many as there are: float32 (N, L, D) on the CPU."""
    batches = [list(prompts[i : i + BATCH]) for i in range(0, len(prompts), BATCH)]
    return torch.cat([encode_prompts(backbone, batch).float().cpu() for batch in batches])
