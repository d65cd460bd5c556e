"""One batch of features: images sampled and every step's taps projected, as it goes to a worker.

Shapes: B images of the batch, T steps, L layers, D dimensions of the projection.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from jobs.nodes.models import find_model
from pipeline.analysis.projection import Projection
from pipeline.arrays import Pixels
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import Step, decode, denoise, encode_prompts, initial_noise
from pipeline.diffusion.taps import TapShapes
from pipeline.pixels import image_to_uint8
from pipeline.recipe.recipe import Sampling
from pipeline.seeds import generator
from pipeline.storage.node_cache import NodeCache

# Arrays by name, as in a file.
Arrays = dict[str, NDArray[Any]]

# A batch on a full-size model is held to these values of taps: 256 MiB in float32.
MOST_TAP_VALUES = 2**26
_THUMBNAIL_PX = 96
_NOISE_STREAM = "select.noise"


@dataclass(frozen=True)
class FeatureBatch:
    """Images `first` to first + len(prompts) - 1 of a selection.

    `backbone` is a name that every node finds (`jobs.nodes.models`); `deviations` (L,) divide the
    layers, empty where they are what is asked for.
    """

    first: int
    prompts: tuple[str, ...]
    sampling: Sampling
    seed: int
    dims: int
    backbone: str
    device: str
    dtype: torch.dtype
    deviations: tuple[float, ...] = ()


@torch.no_grad()
def measure_layers(batch: FeatureBatch) -> Arrays:
    """Measure every layer's deviation from its mean over the images and steps of a batch.

    The squared distances of projections are those of features on average, so that the features
    themselves need not be kept.

    Returns:
        `deviations` (L,) and `lengths` (L,), a layer's number of values.
    """
    worker = _BatchWorker.of(batch)
    found = [
        worker.projection.parts(step.taps or []).double().cpu()
        for part in worker.cut(batch)
        for step in worker.begin(part)[1]
    ]
    parts = torch.cat(found)  # (B T, L, D)
    deviations = (parts - parts.mean(0)).square().sum(2).mean(0).sqrt()
    return {"deviations": deviations.numpy(), "lengths": np.array(worker.projection.lengths)}


@torch.no_grad()
def project_batch(batch: FeatureBatch) -> Arrays:
    """Sample a batch with the taps of every step, of which only the projections are kept.

    Returns:
        `steps` (B, T, D) float32, `conditions` (B, C), `thumbnails` (B, P, P, 3) uint8, and
        `peak_gib`, the most memory that this process has held.
    """
    worker = _BatchWorker.of(batch)
    parts = [_project(part, worker) for part in worker.cut(batch)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return found | {"peak_gib": np.array(_peak_gib())}


@dataclass(frozen=True)
class _BatchWorker:
    """What a worker keeps from batch to batch."""

    backbone: Backbone
    projection: Projection

    @classmethod
    def of(cls, batch: FeatureBatch) -> _BatchWorker:
        """Take what was loaded for an earlier batch, or load it."""
        backbone = _backbone(batch.backbone, batch.device, batch.dtype)
        lengths = _tap_lengths(backbone, guidance_of(batch.sampling).branches)
        return cls(backbone, _projection(lengths, batch.dims, batch.seed, batch.device))

    def cut(self, batch: FeatureBatch) -> Iterator[FeatureBatch]:
        """Cut a batch to what fits the memory at once."""
        fit = MOST_TAP_VALUES // sum(self.projection.lengths)
        at_once = max(1, min(len(batch.prompts), fit))
        for start in range(0, len(batch.prompts), at_once):
            prompts = batch.prompts[start : start + at_once]
            yield replace(batch, first=batch.first + start, prompts=prompts)

    def begin(self, batch: FeatureBatch) -> tuple[Tensor, Iterator[Step]]:
        """Start sampling; return the conditions (B, tokens, C) and every step with its taps."""
        embeddings = encode_prompts(self.backbone, batch.prompts)
        draws = [
            generator(batch.seed, batch.first + i, _NOISE_STREAM) for i in range(len(batch.prompts))
        ]
        noise = initial_noise(self.backbone, draws)
        tapped = range(batch.sampling.steps)
        return embeddings, denoise(self.backbone, embeddings, noise, batch.sampling, tapped)


@lru_cache(maxsize=1)
def _backbone(name: str, device: str, dtype: torch.dtype) -> Backbone:
    return load_backbone(find_model("backbone", name, NodeCache()), device, dtype)


@lru_cache(maxsize=1)
def _projection(lengths: tuple[int, ...], dims: int, seed: int, device: str) -> Projection:
    return Projection(lengths, dims, seed).to(device)


def _tap_lengths(backbone: Backbone, branches: int) -> tuple[int, ...]:
    """Return the number of values of each UNet tap of one image at one step."""
    return tuple(branches * c * h * w for c, h, w in TapShapes.of(backbone, branches).unet)


def _project(batch: FeatureBatch, worker: _BatchWorker) -> Arrays:
    deviations = torch.tensor(batch.deviations, device=batch.device)
    # A layer that never changes carries no information, and must not be divided by zero.
    weights = torch.where(deviations > 0, 1 / deviations, 0)
    steps = np.empty((len(batch.prompts), batch.sampling.steps, batch.dims), np.float32)
    embeddings, process = worker.begin(batch)
    for step in process:
        steps[:, step.t] = worker.projection(step.taps or [], weights).cpu().numpy()
        latents = step.latents
    return {
        "steps": steps,
        "conditions": embeddings.float().mean(1).cpu().numpy(),
        "thumbnails": np.concatenate([_thumbnail(worker.backbone, z) for z in latents.split(1)]),
    }


def _thumbnail(backbone: Backbone, latents: Tensor) -> Pixels:
    # One at a time: decoding is what takes the most memory at full size.
    image = decode(backbone, latents, lambda _n, _v: torch.empty(0))[0].float()
    small = F.interpolate(image, (_THUMBNAIL_PX, _THUMBNAIL_PX), mode="bilinear", antialias=True)
    return image_to_uint8(small)


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
