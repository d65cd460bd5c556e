"""The prompts whose embeddings the condition prior is fitted to (DiffSketch D.2: about 1,000)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.runtime.weights import EMBEDDED
from jobs.stages.general_prompts import general_prompts
from pipeline.recipe.recipe import Recipe
from training.embedded.scenes.reserved_seeds import CAPTION_SEEDS
from training.embedded.scenes.scene import make_scene

NUM_PROMPTS = 1000
_OWN_LIST = "prompts.txt"
# Captions do not depend on the size, so the smallest scenes will do.
_CAPTION_SCENE_PX = 32


def choose_prompts(recipe: Recipe, backbone: Path) -> Sequence[str]:
    """Choose a recipe's prompts: its own, else the backbone's own, else a default."""
    return prompts_for(recipe.backbone, backbone, recipe.prompts_path)


def prompts_for(name: str, folder: Path, path: Path | None) -> Sequence[str]:
    """Choose the prompts of a backbone.

    Args:
        name: of the backbone, as a recipe has it.
        folder: of its weights, which may hold a list.
        path: file of prompts that comes first; None: none was given.
    """
    if path is not None:
        return read_prompts(path)
    if (folder / _OWN_LIST).is_file():
        return read_prompts(folder / _OWN_LIST)
    return scene_captions() if name == EMBEDDED else general_prompts(NUM_PROMPTS)


def read_prompts(path: Path) -> list[str]:
    """Read one prompt a line; empty lines are left out.

    Raises:
        ValueError: there is no such file, or no prompt in it.
    """
    if not path.is_file():
        raise ValueError(f"prompts {path}: no such file; expected a text file, one prompt a line")
    prompts = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    prompts = [prompt for prompt in prompts if prompt]
    if not prompts:
        raise ValueError(f"prompts {path}: the file is empty; expected one prompt a line")
    return prompts


def scene_captions() -> list[str]:
    """Caption scenes: the list for the embedded model, which knows no other world."""
    return [make_scene(seed, _CAPTION_SCENE_PX).caption for seed in CAPTION_SEEDS[:NUM_PROMPTS]]
