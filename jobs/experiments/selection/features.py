"""Features of sampled images at every step, projected as they come and kept batch by batch.

Every layer is divided by its standard deviation over images and steps, measured on the first batch,
so that all layers count alike, as they do for G_sketch, which normalises each (docs/results.md,
"Which steps stand for all").

Shapes: N images, T steps, L layers, D dimensions of the projection.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.experiments.selection.feature_batches import (
    Arrays,
    FeatureBatch,
    measure_layers,
    project_batch,
)
from jobs.nodes.ray_tasks import run_tasks
from jobs.runtime.devices import Machine
from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from pipeline.recipe.recipe import Sampling
from pipeline.whole_file import write_arrays, write_json

# Relative distances deviate by at most sqrt(1 / (2 D)) = 1.6 %.
_DIMS = 2048
_BATCH = 8
_SETTINGS = "settings.json"
_LAYERS = "layers.npz"


@dataclass(frozen=True)
class FeatureSettings:
    """All that the features depend on; `fingerprint` maps the backbone's files to SHA-256."""

    fingerprint: dict[str, str]
    prompts: tuple[str, ...]
    steps: int
    guidance: float
    seed: int
    dtype: str
    dims: int = _DIMS


@dataclass(frozen=True)
class Features:
    """The features of all images, with what the pages show of them.

    `steps` (N, T, D) float32, axis 1 counted from the END; `conditions` (N, C), each prompt's
    embedding averaged over its tokens; `thumbnails` (N, P, P, 3) uint8; `deviations` (L,) of the
    layers; `lengths` (L,) values of a layer; `peak_gib` is the greatest memory that a process which
    sampled took.
    """

    steps: NDArray[np.float32]
    conditions: NDArray[np.float32]
    thumbnails: Pixels
    deviations: NDArray[np.float64]
    lengths: NDArray[np.int64]
    peak_gib: float


def make_features(
    settings: FeatureSettings,
    backbone: str,
    folder: Path,
    machine: Machine,
    workers: int,
    on_event: OnEvent,
) -> Features:
    """Sample all images on Ray's workers and read them all; batches that are there are kept.

    Args:
        backbone: its name, good on any node.
        folder: where batches are kept.
        workers: how many at once; 0: by the machine.

    Raises:
        ValueError: the folder holds features of other settings.
    """
    _note_settings(folder, settings)
    batches = _plan_batches(settings, backbone, machine)
    layers = folder / _LAYERS
    for _, found in run_tasks(measure_layers, [] if _is_whole(layers) else batches[:1], machine):
        write_arrays(layers, found)
    deviations = tuple(float(deviation) for deviation in _read_arrays(layers)["deviations"])
    missing = [
        replace(batch, deviations=deviations)
        for batch in batches
        if not _is_whole(_batch_path(folder, batch), len(batch.prompts))
    ]
    done = len(batches) - len(missing)
    for batch, found in run_tasks(project_batch, missing, machine, workers):
        write_arrays(_batch_path(folder, batch), found)
        done += 1
        on_event("select.features", done=done, total=len(batches))
    return _read_features(layers, [_batch_path(folder, batch) for batch in batches])


def _note_settings(folder: Path, settings: FeatureSettings) -> None:
    """Note the settings in a folder, and refuse one that holds features of other settings.

    Features of fewer or more images are reused, as far as the prompts are the same.
    """
    wanted: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    path = folder / _SETTINGS
    if path.is_file():
        there = json.loads(path.read_text())
        common = min(len(there["prompts"]), len(wanted["prompts"]))
        # The layers are measured on the first batch, which must therefore be the same.
        if common >= _BATCH and there["prompts"][:common] == wanted["prompts"][:common]:
            there["prompts"] = wanted["prompts"]
        other = sorted(key for key in wanted if there.get(key) != wanted[key])
        if other:
            raise ValueError(
                f"{folder} holds features made with other settings ({', '.join(other)}): "
                "choose another --out, or delete that folder"
            )
    write_json(path, wanted)


def _plan_batches(settings: FeatureSettings, backbone: str, machine: Machine) -> list[FeatureBatch]:
    """Cut the images into batches, the same ones on every machine."""
    sampling = Sampling(steps=settings.steps, guidance=settings.guidance, batch=_BATCH)
    return [
        FeatureBatch(
            first=first,
            prompts=settings.prompts[first : first + _BATCH],
            sampling=sampling,
            seed=settings.seed,
            dims=settings.dims,
            backbone=backbone,
            device=machine.device,
            dtype=machine.dtype,
        )
        for first in range(0, len(settings.prompts), _BATCH)
    ]


def _batch_path(folder: Path, batch: FeatureBatch) -> Path:
    return folder / f"{batch.first:06d}.npz"


def _is_whole(path: Path, images: int | None = None) -> bool:
    """Say whether a file is there, can be read to its end, and is of `images` images."""
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None:
                return False
    except zipfile.BadZipFile:
        return False
    return images is None or len(_read_arrays(path)["conditions"]) == images


def _read_arrays(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)


def _read_features(layers: Path, paths: Sequence[Path]) -> Features:
    """Read the layers' deviations and the batches in their order."""
    parts = [_read_arrays(path) for path in paths]
    return Features(
        steps=np.concatenate([part["steps"] for part in parts]),
        conditions=np.concatenate([part["conditions"] for part in parts]),
        thumbnails=np.concatenate([part["thumbnails"] for part in parts]),
        **_read_arrays(layers),
        peak_gib=max(float(part["peak_gib"]) for part in parts),
    )
