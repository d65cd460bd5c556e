"""`onesketch ablate`: the rows of DiffSketch's Table 1, trained and scored on known styles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.distilled import distill_twin, twin_cells
from jobs.experiments.ablation.distilled_page import students_json
from jobs.experiments.ablation.page import write_ablation_page
from jobs.experiments.ablation.results import RESULTS, gather_results, results_json
from jobs.experiments.ablation.rows import ROWS, all_steps, cells
from jobs.experiments.ablation.samples import (
    SampleBatch,
    evaluation_batches,
    make_batch,
    remove_training_samples,
    sample_scenes,
    training_batches,
)
from jobs.experiments.ablation.trainings import (
    SCENE,
    SCORES,
    TrainingTask,
    TruthTask,
    draw_truth,
    read_training_scores,
    train_and_score,
)
from jobs.experiments.ablation.workspace import Workspace
from jobs.nodes.models import check_seen
from jobs.nodes.ray_session import ray_runtime
from jobs.nodes.ray_tasks import run_tasks
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.runtime.weights import locate, locate_backbone
from jobs.stages.prompts import choose_prompts
from pipeline.arrays import Pixels
from pipeline.diffusion.backbone import Backbone, backbone_folder, load_backbone
from pipeline.diffusion.example import RECORD_FILE, make_source, read_source, write_source
from pipeline.images.write import png_bytes
from pipeline.recipe.diffsketch import diffsketch_of
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.sections import GeneratedExample
from pipeline.whole_file import write_bytes, write_json
from training.checkpoint import differences
from training.embedded.scenes.reserved_seeds import EXAMPLE_SEEDS
from training.embedded.scenes.scene import make_scene
from training.encoders.location import absolute_location
from training.evaluation.evaluate import BASELINES
from training.oneshot.diffsketch import choose_timesteps, fit_prior
from training.oneshot.stored_samples import write_batch
from training.styles.registry import STYLES

_PLAN = "plan.json"
_PAGE = "ablation.html"
_FORMAT = 1
_KNOWN_STYLES = ("xdog", LINE_ART, "edges")
# Chosen by eye: the embedded backbone makes a clean picture of its caption, and its line art has
# both long contours and detail. No model was trained on it.
_EXAMPLE_SEED = EXAMPLE_SEEDS[8]


@dataclass(frozen=True)
class Ablation:
    """What to train.

    Attributes:
        iterations: of each training; 0: the recipe's.
        seeds: trainings per row and style.
        images: how many each training is scored on.
        workers: Ray workers; 0: by the machine.
        styles: in which the rows are trained.
        distilled: styles in which students with and without CDST are compared.
    """

    iterations: int = 0
    seeds: int = 3
    images: int = 100
    workers: int = 0
    styles: tuple[str, ...] = _KNOWN_STYLES
    distilled: tuple[str, ...] = ()


def run_ablate(
    recipe: Recipe, out: Path, ablation: Ablation, machine: Machine, events: Events
) -> None:
    """Train and score what is missing, and write the page; a killed run is resumed.

    Args:
        out: folder of all that is made: a folder holds one ablation.

    Raises:
        ValueError: a style's truth is not known, or the folder holds another ablation.
    """
    workspace = open_workspace(recipe, out, ablation, machine)
    with events.stage("ablate"), ray_runtime(machine):
        # Where the tasks run: in a cluster the driver's machine may have neither GPU nor models.
        for _ in run_tasks(_prepare, [_Preparation(workspace, ablation.styles)], machine):
            pass
        batches = evaluation_batches(workspace, ablation.styles)
        _make_batches(batches, "ablate.pictures", machine, ablation.workers, events)
        _draw_truths(workspace, ablation, machine, events)
        for seed in range(ablation.seeds):
            _train_seed(workspace, seed, ablation, machine, events)
            write_results(workspace, ablation, machine)
        twins = [twin_cells(style, ablation.seeds) for style in ablation.distilled]
        for cell in chain.from_iterable(twins):
            distill_twin(workspace, cell, machine, ablation.workers, events)
            write_results(workspace, ablation, machine)
    page = write_results(workspace, ablation, machine)
    events("ablate.ready", page=str(page))


@dataclass(frozen=True)
class _Preparation:
    workspace: Workspace
    styles: tuple[str, ...]


def _prepare(task: _Preparation) -> None:
    check_seen(str(task.workspace.out))
    workspace = task.workspace
    backbone = load_backbone(workspace.backbone, workspace.device, workspace.dtype)
    prepare(workspace, task.styles, backbone)


def open_workspace(recipe: Recipe, out: Path, ablation: Ablation, machine: Machine) -> Workspace:
    """Settle everything that fixes the ablation.

    Raises:
        ValueError: a style's truth is unknown, or students are asked for in another style.
    """
    _check_styles(ablation.styles)
    alone = [style for style in ablation.distilled if style not in ablation.styles]
    if alone:
        raise ValueError(f"students in {alone}: expected some of the styles {ablation.styles}")
    recipe = _fix_recipe(recipe, ablation.iterations)
    location = locate_backbone(recipe.backbone)
    timesteps = choose_timesteps(recipe, backbone_folder(location))
    return Workspace(
        out=out.absolute(),
        recipe=recipe,
        backbone=absolute_location(location),
        clip=absolute_location(locate("clip", recipe.teach.clip)),
        perceptual=absolute_location(locate("perceptual", recipe.teach.perceptual)),
        device=machine.device,
        dtype=machine.dtype,
        timesteps=timesteps,
        union=all_steps(list(ROWS.values()), timesteps, recipe.sampler.steps),
        images=ablation.images,
    )


def prepare(workspace: Workspace, styles: Sequence[str], backbone: Backbone) -> None:
    """Make what is needed once: plan, prior, example pictures and their drawings.

    Raises:
        ValueError: the folder holds another ablation, or a style has changed since.
    """
    _write_plan(workspace, backbone)
    recipe, folder = workspace.recipe, workspace.examples
    if not workspace.prior.is_file():
        prompts = choose_prompts(recipe, backbone_folder(workspace.backbone))
        prior = fit_prior(backbone, prompts)
        prior.save(workspace.prior)
    if not (folder / RECORD_FILE).is_file():
        write_source(make_source(backbone, recipe.example, recipe.sampler), folder)
    if LINE_ART in styles and not (folder / SCENE).is_file():
        write_batch(folder / SCENE, sample_scenes(workspace, backbone, [_EXAMPLE_SEED]))
    image = read_source(folder).image
    for style in styles:
        _keep_drawing(folder / f"{style}.png", _example_drawing(style, image))


def write_results(workspace: Workspace, ablation: Ablation, machine: Machine) -> Path:
    """Write ablation.json and the page from what has finished so far; return the page's path."""
    results = gather_results(workspace, ablation.styles, ablation.seeds)
    metadata = {
        "plan": json.loads((workspace.out / _PLAN).read_text()),
        "machine": describe_machine(machine),
        "versions": versions(),
    }
    students = {
        style: students_json(workspace, style, ablation.seeds) for style in ablation.distilled
    }
    write_json(workspace.out / RESULTS, results_json(results, metadata) | {"students": students})
    return write_ablation_page(workspace.out / _PAGE, workspace, results, metadata)


def _check_styles(styles: Sequence[str]) -> None:
    known = [LINE_ART, *(style for style in STYLES if style not in BASELINES)]
    unknown = [style for style in styles if style not in known]
    if unknown or not styles:
        raise ValueError(f"styles {list(styles)}: expected some of {', '.join(known)}")


def _fix_recipe(recipe: Recipe, iterations: int) -> Recipe:
    """Give a recipe the ablation's example and length; CDST's duration keeps its proportion."""
    teach = diffsketch_of(recipe.teach)
    length = iterations or teach.iterations
    duration = max(1, round(length * teach.diffusion_duration / teach.iterations))
    settings = {"iterations": length, "diffusion_duration": duration}
    caption = make_scene(_EXAMPLE_SEED).caption
    example = GeneratedExample(prompt=caption, seed=recipe.example.seed, drawing="")
    return recipe.model_copy(
        update={"teach": teach.model_copy(update=settings), "example": example}
    )


def _write_plan(workspace: Workspace, backbone: Backbone) -> None:
    """Keep what the folder's pieces are made for, and refuse a folder of something else."""
    recipe, path = workspace.recipe, workspace.out / _PLAN
    steps = recipe.sampler.steps
    asked: dict[str, Any] = {
        "format": _FORMAT,
        "example": recipe.example.model_dump(),
        "sampler": recipe.sampler.model_dump(),
        "teach": recipe.teach.model_dump(mode="json", exclude={"seed", "prompts"}),
        "rows": {
            row.name: list(row.timesteps(workspace.timesteps, steps)) for row in ROWS.values()
        },
        "images": workspace.images,
        "dtype": str(workspace.dtype),
        "backbone": dict(backbone.fingerprint),
    }
    if path.is_file():
        found = differences(json.loads(path.read_text()), asked)
        if found:
            raise ValueError(
                f"{path.parent} holds another ablation ({'; '.join(found)}). Use another --out "
                "folder, or restore the settings"
            )
    write_json(path, asked)


def _example_drawing(style: str, image: Pixels) -> Pixels:
    """Draw the example in a style: over the generated picture, or the scene's own line art."""
    if style == LINE_ART:
        return make_scene(_EXAMPLE_SEED, image.shape[0]).line_art
    return STYLES[style](image)


def _keep_drawing(path: Path, drawing: Pixels) -> None:
    """Write an example's drawing, and refuse a style that drew another one before."""
    data = png_bytes(drawing)
    if path.is_file() and path.read_bytes() != data:
        raise ValueError(
            f"{path}: the style draws the example differently from when this folder was begun. "
            "Use another --out folder"
        )
    write_bytes(path, data)


def _make_batches(
    batches: Sequence[SampleBatch], name: str, machine: Machine, workers: int, events: Events
) -> None:
    """Make batches of samples on Ray, with a bar."""
    for done, _ in enumerate(run_tasks(make_batch, batches, machine, workers), start=1):
        events(name, done=done, total=len(batches))


def _draw_truths(
    workspace: Workspace, ablation: Ablation, machine: Machine, events: Events
) -> None:
    """Draw what the pictures should become, and score the baselines."""
    missing = [
        TruthTask(workspace, style)
        for style in ablation.styles
        if not (workspace.truth(style) / SCORES).is_file()
    ]
    for task, _ in run_tasks(draw_truth, missing, machine, ablation.workers):
        events("ablate.truth", style=task.style, pictures=workspace.images)


def _train_seed(
    workspace: Workspace, seed: int, ablation: Ablation, machine: Machine, events: Events
) -> None:
    """Train and score all cells of one seed on samples that are made once and then removed."""
    all_cells = cells(ablation.styles, list(ROWS), seed)
    missing = [cell for cell in all_cells if read_training_scores(workspace, cell) is None]
    if missing:
        batches = training_batches(workspace, seed)
        _make_batches(batches, f"ablate.samples-{seed}", machine, ablation.workers, events)
    done = seed * len(all_cells) + len(all_cells) - len(missing)
    tasks = [TrainingTask(workspace, cell) for cell in missing]
    for task, scores in run_tasks(train_and_score, tasks, machine, ablation.workers):
        done += 1
        means = {name: float(np.mean(scores[name])) for name in ("lpips", "ssim")}
        events("ablate.training", done=done, total=ablation.seeds * len(all_cells),
                 cell=task.cell.place, seconds=scores["training_s"], **means)  # fmt: skip
    remove_training_samples(workspace, seed)
