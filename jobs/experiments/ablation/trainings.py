"""One training of an ablation: taught on shared samples, then scored against the known truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.rows import ROWS, Cell
from jobs.experiments.ablation.workspace import PictureKind, Workspace, load_models, picture_set
from pipeline.arrays import Pixels
from pipeline.diffusion.drawing import read_drawing
from pipeline.diffusion.example import ExamplePair, Generated, read_source
from pipeline.diffusion.sampling import Sample
from pipeline.events import ignore
from pipeline.gsketch.network import GSketch
from pipeline.pixels import image_to_uint8, sketch_to_uint8
from pipeline.whole_file import write_arrays, write_json
from training.embedded.scenes.reserved_seeds import EVALUATION_SEEDS
from training.embedded.scenes.scene import make_scene
from training.encoders.lpips import Perceptual
from training.evaluation.evaluate import BASELINES
from training.evaluation.registry import METRICS
from training.oneshot.loop import fit
from training.oneshot.spec import OneShotSpec
from training.oneshot.stored_samples import StoredSamples, batch_path, read_batch
from training.styles.registry import STYLES

SCORES = "scores.json"
SKETCHES = "sketches.npz"
DRAWINGS = "drawings.npz"
SCENE = "scene.safetensors"
SCORED = ("lpips", "ssim")
Drawings = Pixels  # (N, H, W)


@dataclass(frozen=True)
class TrainingTask:
    """One training with its scoring: the task that goes to a worker."""

    workspace: Workspace
    cell: Cell


@dataclass(frozen=True)
class TruthTask:
    """The true drawings of one style, and what the baselines score on them."""

    workspace: Workspace
    style: str


def train_and_score(task: TrainingTask) -> dict[str, Any]:
    """Train one cell, or resume it, and score it on all pictures.

    Returns:
        What is kept as the training's scores.json.
    """
    workspace, cell = task.workspace, task.cell
    folder = workspace.training(cell)
    spec = _make_spec(workspace, cell)
    stored = StoredSamples(
        workspace.samples(cell.seed, spec.teach.cdst),
        spec.sampling.batch,
        spec.timesteps,
        workspace.device,
    )
    start = time.perf_counter()
    # A training's own events are left out: the ablation reports whole trainings.
    sketcher = fit(spec, folder, ignore, samples=stored).to(workspace.device)
    trained = time.perf_counter()
    sketches = _draw_pictures(workspace, sketcher, picture_set(cell.style))
    truth = read_drawings(workspace.truth(cell.style) / DRAWINGS)
    scores = score_drawings(sketches, truth, load_models(workspace).perceptual)
    _write_drawings(folder / SKETCHES, sketches)
    record = {
        "timesteps": list(spec.timesteps),
        "training_s": trained - start,
        "scoring_s": time.perf_counter() - trained,
        **scores,
    }
    write_json(folder / SCORES, record)
    return record


def draw_truth(task: TruthTask) -> None:
    """Draw the truth of all pictures and score the baselines; the scores come last."""
    workspace, style = task.workspace, task.style
    pictures = read_pictures(workspace, picture_set(style))
    if style == LINE_ART:
        seeds = EVALUATION_SEEDS[: len(pictures)]
        truth = np.stack([make_scene(seed, pictures.shape[1]).line_art for seed in seeds])
    else:
        truth = np.stack([STYLES[style](picture) for picture in pictures])
    _write_drawings(workspace.truth(style) / DRAWINGS, truth)
    perceptual = load_models(workspace).perceptual
    scores = {
        name: score_drawings(
            np.stack([STYLES[name](picture) for picture in pictures]), truth, perceptual
        )
        for name in BASELINES
    }
    write_json(workspace.truth(style) / SCORES, scores)


def score_drawings(
    drawings: Drawings, truth: Drawings, perceptual: Perceptual
) -> dict[str, list[float]]:
    """Score drawings against their truth.

    Args:
        drawings: (N, H, W).
        truth: (N, H, W).

    Returns:
        By metric, one number a picture.
    """
    scored = {}
    for name in SCORED:
        metric = METRICS[name](perceptual)
        for i, (drawing, true_drawing) in enumerate(zip(drawings, truth, strict=True)):
            metric.update(f"{i:06d}", drawing, true_drawing)
        scored[name] = [metric.scores[key] for key in sorted(metric.scores)]
    return scored


def read_pictures(workspace: Workspace, pictures: PictureKind) -> Pixels:
    """Read the pictures of a set, uint8 (N, H, W, 3)."""
    batches = _stored_pictures(workspace, pictures, workspace.timesteps[:1])
    return np.concatenate([image_to_uint8(batch.images) for batch in batches])


def read_drawings(path: Path) -> Drawings:
    """Read drawings, uint8 (N, H, W), that a training or a truth left."""
    with np.load(path) as file:
        drawings: Drawings = file["drawings"]
    return drawings


def read_training_scores(workspace: Workspace, cell: Cell) -> dict[str, Any] | None:
    """Read the scores of a training; None while it has none."""
    path = workspace.training(cell) / SCORES
    return json.loads(path.read_text()) if path.is_file() else None


def _make_spec(workspace: Workspace, cell: Cell) -> OneShotSpec:
    """Gather what one training starts from: one row, one style, one seed."""
    models, row, recipe = load_models(workspace), ROWS[cell.row], workspace.recipe
    timesteps = row.timesteps(workspace.timesteps, recipe.sampler.steps)
    example = None
    if cell.style == LINE_ART:
        example = read_batch(workspace.examples / SCENE, timesteps)
    return OneShotSpec(
        pair=_example_pair(workspace, cell.style, example),
        backbone=models.backbone,
        prior=models.prior,
        timesteps=timesteps,
        teach=row.settings(workspace.teach, cell.seed),
        sampling=recipe.sampler,
        clip=models.clip,
        perceptual=models.perceptual,
        example=example,
    )


def _example_pair(workspace: Workspace, style: str, example: Sample | None) -> ExamplePair:
    """Read the one example of a style: the generated picture's, or the scene's."""
    source = read_source(workspace.examples)
    size = source.image.shape[:2]
    drawing = read_drawing(workspace.examples / f"{style}.png", size)
    if example is None:
        return ExamplePair(source.image, drawing, source.generated)
    image = image_to_uint8(example.images)[0]
    generated = Generated(source.generated.embeddings, example.latents[0].cpu(), {})
    return ExamplePair(image, drawing, generated)


@torch.no_grad()
def _draw_pictures(workspace: Workspace, sketcher: GSketch, pictures: PictureKind) -> Drawings:
    """Draw all pictures of a set from their stored taps."""
    drawn = []
    for batch in _stored_pictures(workspace, pictures, sketcher.config.timesteps):
        taps = batch.taps.to(workspace.device)
        drawn.append(sketch_to_uint8(sketcher(taps, batch.images.to(workspace.device))))
    return np.concatenate(drawn)


def _stored_pictures(
    workspace: Workspace, pictures: PictureKind, timesteps: tuple[int, ...]
) -> Iterator[Sample]:
    """Read a set's batches in order."""
    for indices in workspace.batches():
        path = batch_path(workspace.evaluation(pictures), indices.start)
        yield read_batch(path, timesteps)


def _write_drawings(path: Path, drawings: Drawings) -> None:
    """Write drawings uint8 (N, H, W), whole or not at all."""
    write_arrays(path, {"drawings": drawings}, compressed=True)
