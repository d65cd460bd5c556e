"""Where model weights lie: `embedded` becomes a folder of the package, other names pass through."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import training.embedded
from pipeline.diffusion.location import is_hub_id
from pipeline.storage.address import is_address

EMBEDDED = "embedded"
ModelKind = Literal["backbone", "clip", "perceptual"]
_FOLDERS: dict[ModelKind, str] = {
    "backbone": "diffusion",
    "clip": "clip",
    "perceptual": "perceptual",
}


def locate(kind: ModelKind, name: str) -> str:
    """Turn a recipe's name into a location: shipped folder, path, preset or address.

    Args:
        kind: of model.
        name: `embedded`, or a path or preset, which passes through.

    Raises:
        ValueError: the embedded model is missing.
    """
    return str(embedded(kind)) if name == EMBEDDED else name


def locate_backbone(name: str) -> str:
    """Turn a recipe's backbone into a diffusers folder, a hub id, or the address of a folder.

    Raises:
        ValueError: it is neither.
    """
    location = locate("backbone", name)
    if Path(location).is_dir() or is_hub_id(location) or is_address(location):
        return location
    raise ValueError(
        f"backbone {name!r} is neither an existing diffusers folder nor a hub id such as "
        "CompVis/stable-diffusion-v1-4, nor s3://bucket/prefix, nor `embedded`"
    )


def embedded(kind: ModelKind) -> Path:
    """Return the folder of a shipped model.

    Raises:
        ValueError: it is missing.
    """
    folder = _embedded_root() / _FOLDERS[kind]
    if not folder.is_dir():
        raise ValueError(
            f"the embedded {kind} is missing ({folder}): reinstall onesketch, or make it with "
            "`onesketch train-embedded`"
        )
    return folder


def _embedded_root() -> Path:
    """Return the folder of the shipped weights."""
    return Path(training.embedded.__file__).parent / "weights"
