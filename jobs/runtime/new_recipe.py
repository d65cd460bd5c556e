"""`onesketch init`: a recipe to begin with, sized for what it is to run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from jobs.runtime.weights import EMBEDDED
from pipeline.recipe.commented import commented_yaml
from pipeline.recipe.recipe import Recipe, parse_recipe
from pipeline.storage.address import is_address
from pipeline.whole_file import write_text

Size = Literal["laptop", "gpu", "cluster"]
# An image of the embedded backbone that is easy to draw over.
_PROMPT, _SEED = "a red house on grass under a blue sky", 50

# The sizes of the shipped styles: a whole run in ten minutes on two cores.
_LAPTOP: dict[str, dict[str, Any]] = {
    "sampler": {"steps": 25},
    "teach": {"iterations": 192, "diffusion_duration": 160},
    "dataset": {"samples": 448, "shard_size": 32},
    "distill": {"preset": "small", "epochs": 4},
}
# The rate at which the embedded models learn; DiffSketch's suits Stable Diffusion.
_EMBEDDED_RATE = 1e-3
# DiffSketch's networks, as files that have to be there.
_PAPERS_NETWORKS: dict[str, dict[str, Any]] = {
    "teach": {"clip": "ViT-B-32-quickgelu:ViT-B-32.pt", "perceptual": "alex:alexnet.pth"},
    "distill": {"perceptual": "vgg19:vgg19.pth"},
}


def new_recipe(style: str, size: Size, backbone: str = EMBEDDED, run: str = "") -> Recipe:
    """Make the recipe of a new style.

    Args:
        style: its name.
        size: what it is to run on.
        backbone: as the recipe has it.
        run: as the recipe has it; a cluster needs an address.

    Raises:
        ValueError: a name, backbone or run that cannot be.
    """
    if size == "cluster" and not is_address(run):
        raise ValueError(
            f"--size cluster: got --run {run or '(nothing)'}; expected --run s3://bucket/prefix, "
            "which nodes without a common disk can reach"
        )
    data: dict[str, Any] = {
        "style": style,
        "backbone": backbone,
        "run": run,
        "example": {"prompt": _PROMPT, "seed": _SEED, "drawing": f"{style}.png"},
    }
    parts = [_LAPTOP] if size == "laptop" else []
    if backbone == EMBEDDED:
        parts.append({"teach": {"learning_rate": _EMBEDDED_RATE}})
    else:
        parts.append(_PAPERS_NETWORKS)
    if size == "cluster":
        parts.append({"distill": {"workers": "2..8"}})
    for part in parts:
        for section, keys in part.items():
            data[section] = data.get(section, {}) | keys
    return parse_recipe(data, Path.cwd())


def size_named(name: str) -> Size:
    """Return the size of a name; ValueError names them all."""
    for size in get_args(Size):
        if name == size:
            return size
    raise ValueError(f"--size {name}: expected one of {', '.join(get_args(Size))}")


def write_new_recipe(recipe: Recipe, size: Size, path: Path) -> None:
    """Write a recipe with its comments.

    Raises:
        ValueError: a file is there already, which stays.
    """
    if path.exists():
        raise ValueError(f"{path} is there already, and stays: give another name, or remove it")
    head = (
        f"# Sized for: {size}. A key that is removed gets its default: DiffSketch's value.\n"
        f"# Next: onesketch source {path} --scale 8\n\n"
    )
    write_text(path, head + commented_yaml(recipe))
