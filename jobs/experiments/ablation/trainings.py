"""One training of an ablation: taught on shared samples, then scored against the known truth."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from jobs.evaluation.picture_sets import FIRST_SCENE_SEED, LINE_ART
from jobs.experiments.ablation.rows import ROWS, Cell
from jobs.experiments.ablation.workspace import Workshop, load_tools, picture_set
from jobs.runtime.files import write_json, write_whole
from pipeline.diffusion.example import ExamplePair, read_drawing, read_source
from pipeline.diffusion.sampling import Sample
from pipeline.gsketch.network import GSketch
from pipeline.pixels import image_to_uint8, sketch_to_uint8
from training.embedded.scenes.scene import make_scene
from training.encoders.lpips import Perceptual
from training.evaluation.evaluate import BASELINES
from training.evaluation.metrics import METRICS
from training.oneshot.loop import fit
from training.oneshot.spec import Lesson
from training.oneshot.stored_samples import StoredSamples, batch_path, read_batch
from training.styles.styles import STYLES

SCORES = "scores.json"
SKETCHES = "sketches.npz"
DRAWINGS = "drawings.npz"
SCENE = "scene.safetensors"
SCORED = ("lpips", "ssim")
Drawings = NDArray[np.uint8]  # (N, H, W)


@dataclass(frozen=True)
class Task:
    """One training with its scoring: the piece of work that goes to a worker."""

    workshop: Workshop
    cell: Cell


def quiet(name: str, **fields: Any) -> None:
    """Swallow a training's own events: the pieces' are the ablation's."""


def make_lesson(workshop: Workshop, cell: Cell) -> Lesson:
    """Gather what one training starts from: one row, one style, one seed."""
    tools, row, recipe = load_tools(workshop), ROWS[cell.row], workshop.recipe
    timesteps = row.timesteps(workshop.timesteps, recipe.sampler.steps)
    known = None
    if cell.style == LINE_ART:
        known = read_batch(workshop.examples / SCENE, timesteps)
    return Lesson(
        pair=example_pair(workshop, cell.style, known),
        backbone=tools.backbone,
        prior=tools.prior,
        timesteps=timesteps,
        teach=row.lesson(recipe.teach, cell.seed),
        sampler=recipe.sampler,
        clip=tools.clip,
        perceptual=tools.perceptual,
        known=known,
    )


def example_pair(workshop: Workshop, style: str, known: Sample | None) -> ExamplePair:
    """Read the one example of a style: the generated picture's, or the scene's."""
    source = read_source(workshop.examples)
    size = source.image.shape[:2]
    drawing = read_drawing(workshop.examples / f"{style}.png", size)
    if known is None:
        return ExamplePair(source.image, drawing, source.embeddings, source.noise, source.record)
    image = image_to_uint8(known.images)[0]
    return ExamplePair(image, drawing, source.embeddings, known.latents[0].cpu(), {})


def train_and_score(task: Task) -> dict[str, Any]:
    """Train one cell, or go on with it, and score it on all pictures; gives the scores' file."""
    workshop, cell = task.workshop, task.cell
    folder = workshop.training(cell)
    lesson = make_lesson(workshop, cell)
    stored = StoredSamples(
        workshop.samples(cell.seed, lesson.teach.cdst),
        lesson.sampler.batch,
        lesson.timesteps,
        workshop.device,
    )
    start = time.perf_counter()
    sketcher = fit(lesson, folder, quiet, samples=stored).to(workshop.device)
    trained = time.perf_counter()
    sketches = draw_pictures(workshop, sketcher, picture_set(cell.style))
    truth = read_drawings(workshop.truth(cell.style) / DRAWINGS)
    scores = score(sketches, truth, load_tools(workshop).perceptual)
    write_drawings(folder / SKETCHES, sketches)
    record = {
        "timesteps": list(lesson.timesteps),
        "training_s": trained - start,
        "scoring_s": time.perf_counter() - trained,
        **scores,
    }
    write_json(folder / SCORES, record)
    return record


@torch.no_grad()
def draw_pictures(workshop: Workshop, sketcher: GSketch, pictures: str) -> Drawings:
    """Draw all pictures of a set from their stored taps."""
    drawn = []
    for batch in stored_pictures(workshop, pictures, sketcher.config.timesteps):
        taps = batch.taps.to(workshop.device)
        drawn.append(sketch_to_uint8(sketcher(taps, batch.images.to(workshop.device))))
    return np.concatenate(drawn)


def stored_pictures(
    workshop: Workshop, pictures: str, timesteps: tuple[int, ...]
) -> Iterator[Sample]:
    """Read a set's batches in order."""
    for indices in workshop.batches():
        path = batch_path(workshop.evaluation(pictures), indices.start)
        yield read_batch(path, timesteps)


def score(drawings: Drawings, truth: Drawings, perceptual: Perceptual) -> dict[str, list[float]]:
    """Score drawings against their truth, (N, H, W) both: by metric, one number a picture."""
    scored = {}
    for name in SCORED:
        metric = METRICS[name](perceptual)
        for i, (drawing, true_drawing) in enumerate(zip(drawings, truth, strict=True)):
            metric.update(f"{i:06d}", drawing, true_drawing)
        scored[name] = [metric.scores[key] for key in sorted(metric.scores)]
    return scored


@dataclass(frozen=True)
class TruthTask:
    """The true drawings of one style, and what the baselines score on them."""

    workshop: Workshop
    style: str


def draw_truth(task: TruthTask) -> None:
    """Draw the truth of all pictures and score the baselines; the scores come last."""
    workshop, style = task.workshop, task.style
    pictures = read_pictures(workshop, picture_set(style))
    if style == LINE_ART:
        seeds = range(FIRST_SCENE_SEED, FIRST_SCENE_SEED + len(pictures))
        truth = np.stack([make_scene(seed, pictures.shape[1]).line_art for seed in seeds])
    else:
        truth = np.stack([STYLES[style](picture) for picture in pictures])
    write_drawings(workshop.truth(style) / DRAWINGS, truth)
    perceptual = load_tools(workshop).perceptual
    scores = {
        name: score(np.stack([STYLES[name](picture) for picture in pictures]), truth, perceptual)
        for name in BASELINES
    }
    write_json(workshop.truth(style) / SCORES, scores)


def read_pictures(workshop: Workshop, pictures: str) -> NDArray[np.uint8]:
    """Read the pictures of a set: (N, H, W, 3)."""
    batches = stored_pictures(workshop, pictures, workshop.timesteps[:1])
    return np.concatenate([image_to_uint8(batch.images) for batch in batches])


def write_drawings(path: Path, drawings: Drawings) -> None:
    """Write drawings uint8 (N, H, W), whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, drawings=drawings)
    write_whole(path, buffer.getvalue())


def read_drawings(path: Path) -> Drawings:
    """Read what `write_drawings` wrote."""
    with np.load(path) as file:
        drawings: Drawings = file["drawings"]
    return drawings


def read_scores(workshop: Workshop, cell: Cell) -> dict[str, Any] | None:
    """Read the scores of a training; None while it has none."""
    path = workshop.training(cell) / SCORES
    return json.loads(path.read_text()) if path.is_file() else None
