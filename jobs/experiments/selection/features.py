"""Features of sampled images at every step, projected as they come and kept batch by batch.

Every layer is divided by its deviation over images and steps, measured on the first batch: layers
count alike, as they do for G_sketch, which norms each. As they come, the last of the embedded
model's twelve layers alone makes 70 % of all motion; K is then 2 for most images and 9 for most
others, so that its mean is no image's (24 images, 25 steps: mode 2, mean 4.0; divided: 7 and 5.8).

Shapes: B images of a batch, N all images, T steps, L layers, D dimensions of the projection.
"""

import io
import json
import resource
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jobs.runtime.devices import Machine
from jobs.runtime.ray_tasks import run_tasks
from pipeline.analysis.projection import Projection
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.sampling import Step, decode, denoise, encode_prompts, initial_noise
from pipeline.diffusion.taps import TapShapes
from pipeline.events import OnEvent
from pipeline.pixels import image_to_uint8
from pipeline.recipe import Sampling
from pipeline.seeds import generator
from pipeline.whole_file import write_bytes, write_json

# Relative distances deviate by at most sqrt(1 / (2 D)) = 1.6 %.
DIMS = 2048
BATCH = 8
# A batch on a full-size model is held to these values of taps: 256 MiB in float32.
MOST_TAP_VALUES = 2**26
THUMBNAIL_PX = 96
SETTINGS = "settings.json"
LAYERS = "layers.npz"
NOISE = "select.noise"


@dataclass(frozen=True)
class Settings:
    """All that the features depend on; `fingerprint` maps the backbone's files to SHA-256."""

    fingerprint: dict[str, str]
    prompts: tuple[str, ...]
    steps: int
    guidance: float
    seed: int
    dtype: str
    dims: int = DIMS


@dataclass(frozen=True)
class Batch:
    """One piece of work: images `first` to first + len(prompts) - 1 of a selection.

    `deviations` (L,) divide the layers; empty where they are what is asked for.
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


@dataclass(frozen=True)
class Features:
    """What was learned of the images.

    `steps` (N, T, D) float32, axis 1 counted from the END; `conditions` (N, C), each prompt's
    embedding averaged over its tokens; `thumbnails` (N, P, P, 3) uint8; `deviations` (L,) of the
    layers; `lengths` (L,) values of a layer; `peak_gib` is the greatest memory that a process which
    sampled took.
    """

    steps: np.ndarray
    conditions: np.ndarray
    thumbnails: np.ndarray
    deviations: np.ndarray
    lengths: np.ndarray
    peak_gib: float


@lru_cache(maxsize=1)
def _backbone(location: str, device: str, dtype: torch.dtype) -> Backbone:
    return load_backbone(location, device, dtype)


@lru_cache(maxsize=1)
def _projection(lengths: tuple[int, ...], dims: int, seed: int, device: str) -> Projection:
    return Projection(lengths, dims, seed).to(device)


def peak_gib() -> float:
    """Give the most memory that this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


def tap_lengths(backbone: Backbone, branches: int) -> tuple[int, ...]:
    """Give the number of values of each UNet tap of one image at one step."""
    return tuple(branches * c * h * w for c, h, w in TapShapes.of(backbone, branches).unet)


@dataclass(frozen=True)
class _BatchWorker:
    """What a worker keeps from batch to batch."""

    backbone: Backbone
    projection: Projection

    @classmethod
    def of(cls, batch: Batch) -> "_BatchWorker":
        """Take what was loaded for an earlier batch, or load it."""
        backbone = _backbone(batch.backbone, batch.device, batch.dtype)
        lengths = tap_lengths(backbone, batch.sampling.branches)
        return cls(backbone, _projection(lengths, batch.dims, batch.seed, batch.device))

    def cut(self, batch: Batch) -> Iterator[Batch]:
        """Cut a batch to what fits the memory at once."""
        fit = MOST_TAP_VALUES // sum(self.projection.lengths)
        at_once = max(1, min(len(batch.prompts), fit))
        for start in range(0, len(batch.prompts), at_once):
            prompts = batch.prompts[start : start + at_once]
            yield replace(batch, first=batch.first + start, prompts=prompts)

    def begin(self, batch: Batch) -> tuple[Tensor, Iterator[Step]]:
        """Start sampling; gives the conditions (B, L, D) and every step with its taps."""
        embeddings = encode_prompts(self.backbone, batch.prompts)
        draws = [generator(batch.seed, batch.first + i, NOISE) for i in range(len(batch.prompts))]
        noise = initial_noise(self.backbone, draws)
        tapped = range(batch.sampling.steps)
        return embeddings, denoise(self.backbone, embeddings, noise, batch.sampling, tapped)


@torch.no_grad()
def measure_layers(batch: Batch) -> dict[str, np.ndarray]:
    """Measure every layer's deviation from its mean over the images and steps of a batch.

    The squared distances of projections are those of features on average, so that the features
    themselves need not be kept: deviations (L,).
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
def project_batch(batch: Batch) -> dict[str, np.ndarray]:
    """Sample a batch with the taps of every step, of which only the projections are kept."""
    worker = _BatchWorker.of(batch)
    parts = [_project(part, worker) for part in worker.cut(batch)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return found | {"peak_gib": np.array(peak_gib())}


def _project(batch: Batch, worker: _BatchWorker) -> dict[str, np.ndarray]:
    deviations = torch.tensor(batch.deviations, device=batch.device)
    # A layer that never changes has nothing to say, and must not be divided by zero.
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


def _thumbnail(backbone: Backbone, latents: torch.Tensor) -> np.ndarray:
    # One at a time: decoding is what takes the most memory at full size.
    image = decode(backbone, latents, lambda _n, _v: torch.empty(0))[0].float()
    small = torch.nn.functional.interpolate(
        image, (THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True
    )
    return image_to_uint8(small)


def plan_batches(settings: Settings, location: str, machine: Machine) -> list[Batch]:
    """Cut the images into pieces of work, the same ones on every machine."""
    sampling = Sampling(steps=settings.steps, guidance=settings.guidance, batch=BATCH)
    return [
        Batch(
            first,
            settings.prompts[first : first + BATCH],
            sampling,
            settings.seed,
            settings.dims,
            location,
            machine.device,
            machine.dtype,
        )
        for first in range(0, len(settings.prompts), BATCH)
    ]


def claim(folder: Path, settings: Settings) -> None:
    """Note the settings in a folder; ValueError if it holds features of other settings.

    Of another number of images what is there counts, as far as the prompts are the same.
    """
    wanted = json.loads(json.dumps(asdict(settings)))
    path = folder / SETTINGS
    if path.is_file():
        there = json.loads(path.read_text())
        common = min(len(there["prompts"]), len(wanted["prompts"]))
        # The layers are measured on the first batch, which must therefore be the same.
        if common >= BATCH and there["prompts"][:common] == wanted["prompts"][:common]:
            there["prompts"] = wanted["prompts"]
        other = sorted(key for key in wanted if there.get(key) != wanted[key])
        if other:
            raise ValueError(
                f"{folder} holds features made with other settings ({', '.join(other)}): "
                "choose another --out, or delete that folder"
            )
    write_json(path, wanted)


def make_features(
    settings: Settings, location: str, folder: Path, machine: Machine, workers: int, on: OnEvent
) -> Features:
    """Sample all images on Ray's workers, batches already in `folder` left out; read them all."""
    claim(folder, settings)
    batches = plan_batches(settings, location, machine)
    layers = folder / LAYERS
    for _, found in run_tasks(measure_layers, [] if is_whole(layers) else batches[:1], machine):
        write_arrays(layers, found)
    deviations = tuple(float(each) for each in read_arrays(layers)["deviations"])
    missing = [
        replace(batch, deviations=deviations)
        for batch in batches
        if not is_whole(place(folder, batch), len(batch.prompts))
    ]
    done = len(batches) - len(missing)
    for batch, found in run_tasks(project_batch, missing, machine, workers):
        write_arrays(place(folder, batch), found)
        done += 1
        on("select.features", done=done, total=len(batches))
    return read_features(layers, [place(folder, batch) for batch in batches])


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote."""
    with np.load(path) as file:
        return dict(file)


def place(folder: Path, batch: Batch) -> Path:
    """Give the file of a batch."""
    return folder / f"{batch.first:06d}.npz"


def is_whole(path: Path, images: int | None = None) -> bool:
    """Say whether a file is there, can be read to its end, and is of so many images."""
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None:
                return False
    except zipfile.BadZipFile:
        return False
    return images is None or len(read_arrays(path)["conditions"]) == images


def read_features(layers: Path, paths: Sequence[Path]) -> Features:
    """Read the layers' deviations and the batches in their order."""
    parts = [read_arrays(path) for path in paths]
    return Features(
        steps=np.concatenate([part["steps"] for part in parts]),
        conditions=np.concatenate([part["conditions"] for part in parts]),
        thumbnails=np.concatenate([part["thumbnails"] for part in parts]),
        **read_arrays(layers),
        peak_gib=max(float(part["peak_gib"]) for part in parts),
    )
