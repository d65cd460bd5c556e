"""Where model weights lie: `embedded` becomes a folder of the package, other names pass through."""

import re
from pathlib import Path

import training.embedded

EMBEDDED = "embedded"
FOLDERS = {"backbone": "diffusion", "clip": "clip", "perceptual": "perceptual"}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def embedded_root() -> Path:
    """Give the folder of the shipped weights."""
    return Path(training.embedded.__file__).parent / "weights"


def embedded(kind: str) -> Path:
    """Give the folder of the shipped `backbone`, `clip` or `perceptual`; ValueError without it."""
    folder = embedded_root() / FOLDERS[kind]
    if not folder.is_dir():
        raise ValueError(
            f"the embedded {kind} is missing ({folder}): reinstall onesketch, or make it with "
            "`onesketch train-embedded`"
        )
    return folder


def locate(kind: str, name: str) -> str:
    """Turn a recipe's name into a location for the loaders: shipped folder, path or preset."""
    return str(embedded(kind)) if name == EMBEDDED else name


def locate_backbone(name: str) -> str:
    """Turn a recipe's backbone into a folder or hub id; ValueError if it is neither."""
    location = locate("backbone", name)
    if Path(location).is_dir() or HUB_ID.fullmatch(location):
        return location
    raise ValueError(
        f"backbone {name!r} is neither an existing diffusers folder nor a hub id such as "
        "CompVis/stable-diffusion-v1-4, nor `embedded`"
    )
