"""The one example: the image that is drawn over, and the pair once the drawing is there.

Folder `source/`: image.png to draw over, noise.safetensors (noise and prompt embedding), and
source.json (prompt, seed, sampling, fingerprint of the backbone, versions), written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.drawing import (
    ExampleError,
    check_unlike_source,
    open_picture,
    read_drawing,
)
from pipeline.diffusion.sampling import decode, denoise, encode_prompts, initial_noise
from pipeline.images.write import write_png
from pipeline.pixels import image_to_uint8
from pipeline.recipe.recipe import Recipe, Sampling
from pipeline.recipe.sections import GeneratedExample
from pipeline.whole_file import write_json, write_tensors

IMAGE_FILE, TENSORS_FILE, RECORD_FILE = "image.png", "noise.safetensors", "source.json"
_FILES = (RECORD_FILE, IMAGE_FILE, TENSORS_FILE)
_VERSIONS_OF = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class Generated:
    """What an image was generated from.

    Attributes:
        embeddings: of the prompt, (L, D).
        noise: the first latents, (C, h, w).
        record: prompt, seed, sampling, the backbone's fingerprint and versions, as JSON.
    """

    embeddings: Tensor
    noise: Tensor
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A generated image to draw over, uint8 (H, W, 3)."""

    image: Pixels
    generated: Generated


@dataclass(frozen=True)
class ExamplePair:
    """An image uint8 (H, W, 3) with its drawing, uint8 (H, W), 255 = paper.

    `generated` is there where a backbone made the image.
    """

    image: Pixels
    drawing: Pixels
    generated: Generated | None = None


def make_source(backbone: Backbone, example: GeneratedExample, sampling: Sampling) -> Source:
    """Generate the image of an example.

    The noise is what StableDiffusionPipeline draws from a CPU generator of the same seed, so that
    an image found with other tools can be made again here.
    """
    noise = initial_noise(backbone, [torch.Generator().manual_seed(example.seed)])
    embeddings = encode_prompts(backbone, [example.prompt])
    *_, last = denoise(backbone, embeddings, noise, sampling, timesteps=())
    images, _ = decode(backbone, last.latents, lambda _n, v: v[:0])
    record = _asked(example, sampling) | {
        "backbone": dict(backbone.fingerprint),
        "versions": {name: version(name) for name in _VERSIONS_OF},
    }
    generated = Generated(embeddings[0].float().cpu(), noise[0], record)
    return Source(image_to_uint8(images)[0], generated)


def write_source(source: Source, folder: Path) -> None:
    """Write a source; source.json comes last, so that a folder with it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD_FILE).unlink(missing_ok=True)
    write_png(folder / IMAGE_FILE, source.image)
    generated = source.generated
    tensors = {"embeddings": generated.embeddings, "noise": generated.noise}
    write_tensors(folder / TENSORS_FILE, tensors)
    write_json(folder / RECORD_FILE, dict(generated.record), sort_keys=True)


def read_source(folder: Path) -> Source:
    """Read a source that `write_source` wrote.

    Raises:
        ExampleError: it is not there, or not whole.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise ExampleError(f"{folder}: {name} is missing: run `onesketch source` first")
    try:
        record = json.loads((folder / RECORD_FILE).read_text())
        tensors = load_file(folder / TENSORS_FILE)
        embeddings, noise = tensors["embeddings"], tensors["noise"]
    except (ValueError, KeyError, SafetensorError) as error:
        raise ExampleError(
            f"{folder}: not readable ({error}): run `onesketch source --again`"
        ) from error
    image = open_picture(folder / IMAGE_FILE, "source image").convert("RGB")
    return Source(np.asarray(image), Generated(embeddings, noise, record))


def check_same_source(
    folder: Path, recipe: Recipe, fingerprint: Mapping[str, str] | None = None
) -> bool:
    """Tell whether a folder holds the source that a recipe asks for; False where it holds none.

    Args:
        fingerprint: of the recipe's backbone; None: it is left unchecked.

    Raises:
        ExampleError: it holds another one.
    """
    if not all((folder / name).is_file() for name in _FILES):
        return False
    stored = read_source(folder).generated.record
    anew = (
        "The image may have been drawn over, and is kept: use another --run, put the recipe back, "
        "or have it made anew by `onesketch source --again`"
    )
    for key, asked in _asked(recipe.example, recipe.sampler).items():
        if stored.get(key) != asked:
            raise ExampleError(
                f"{folder} was made with {key} = {stored.get(key)!r}, the recipe says "
                f"{asked!r}. {anew}"
            )
    if fingerprint is not None and stored.get("backbone") != dict(fingerprint):
        raise ExampleError(f"{folder} was made with another backbone than the recipe's. {anew}")
    return True


def load_example(recipe: Recipe, folder: Path, drawing_path: Path | None = None) -> ExamplePair:
    """Read the source in `folder` and the recipe's drawing of it.

    Args:
        drawing_path: where the drawing is on this machine; by default where the recipe says.

    Raises:
        ExampleError: the source is missing or was made for another prompt, seed or sampling; the
            drawing cannot be used (see `read_drawing`, `check_unlike_source`).
    """
    source = read_source(folder)
    check_same_source(folder, recipe)
    path = drawing_path or recipe.drawing_path
    drawing = read_drawing(path, source.image.shape[:2], recipe.example.invert)
    check_unlike_source(drawing, source.image, path)
    return ExamplePair(source.image, drawing, source.generated)


def _asked(example: GeneratedExample, sampling: Sampling) -> dict[str, Any]:
    return {
        "prompt": example.prompt,
        "seed": example.seed,
        "steps": sampling.steps,
        "guidance": sampling.guidance,
    }
