"""Students with and without CDST, each from a teacher and dataset of its kind (5.3, Fig. 6)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.rows import FULL, NO_CDST, Cell
from jobs.experiments.ablation.statistics import BETTER, ScoreTable, make_table
from jobs.experiments.ablation.trainings import (
    DRAWINGS,
    SCENE,
    SCORES,
    read_drawings,
    read_pictures,
    score_drawings,
)
from jobs.experiments.ablation.workspace import Workspace, picture_set
from jobs.runtime.devices import Asked, Machine, choose_machine
from jobs.runtime.events import Events
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.run_place import FolderPlace
from jobs.runtime.session import Session
from jobs.stages.distill import run_distill
from jobs.stages.generate import Fleet, run_generate
from pipeline.arrays import Pixels
from pipeline.diffusion.example import RECORD_FILE, read_source, write_source
from pipeline.images.find import BUNDLED, find_photographs
from pipeline.images.read import read_photograph
from pipeline.images.write import write_png
from pipeline.pixels import image_to_uint8
from pipeline.recipe.recipe import Recipe, parse_recipe
from pipeline.recipe.workers import WorkerRange
from pipeline.whole_file import write_json
from training.encoders.lpips import Perceptual, load_perceptual
from training.extraction.extractor import Extractor
from training.oneshot.stored_samples import read_batch
from training.styles.registry import STYLES

TWINS = (FULL, NO_CDST)
PICTURES, PHOTOGRAPHS = "pictures", "photographs"


@dataclass(frozen=True)
class ShownPicture:
    """One picture that both students draw; name: that of their drawings' files."""

    name: str
    picture: Pixels
    truth: Pixels


def distill_twin(
    workspace: Workspace, cell: Cell, machine: Machine, workers: int, events: Events
) -> None:
    """Make one student and score it; a student with scores is left alone."""
    folder = twin_folder(workspace, cell)
    if (folder.root / SCORES).is_file():
        return
    session = open_twin(workspace, cell, machine, events)
    run_generate(session, Fleet(WorkerRange(1, workers) if workers else WorkerRange()))
    run_distill(session)
    here = choose_machine().device
    perceptual = load_perceptual(workspace.perceptual, here)
    student = Extractor.load(folder.extractor, here)
    scores = {
        PICTURES: _score_pictures(workspace, cell.style, student, perceptual, folder.drawings)
    }
    if cell.style != LINE_ART:
        scores[PHOTOGRAPHS] = _score_photographs(cell.style, student, perceptual, folder.drawings)
    write_json(folder.root / SCORES, scores)
    means = {f"{name}_lpips": float(np.mean(of_set["lpips"])) for name, of_set in scores.items()}
    events("ablate.student", cell=cell.place, **means)


def open_twin(workspace: Workspace, cell: Cell, machine: Machine, events: Events) -> Session:
    """Lay out a run folder around a trained teacher, so that the commands' own stages work."""
    folder = twin_folder(workspace, cell)
    folder.root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(workspace.examples / f"{cell.style}.png", folder.root / "drawing.png")
    if not (folder.source / RECORD_FILE).is_file():
        source = read_source(workspace.examples)
        if cell.style == LINE_ART:
            example = read_batch(workspace.examples / SCENE, workspace.timesteps)
            source = replace(source, image=image_to_uint8(example.images)[0])
        write_source(source, folder.source)
    shutil.copytree(workspace.training(cell), folder.teacher, dirs_exist_ok=True)
    asked = Asked(machine.device, str(machine.dtype).removeprefix("torch."))
    recipe = _twin_recipe(workspace, cell, folder.root)
    return Session(recipe, asked, FolderPlace(folder), events)


def twin_cells(style: str, seeds: int) -> list[Cell]:
    """List all students of one style, the two of a seed beside each other."""
    return [Cell(style, row, seed) for seed in range(seeds) for row in TWINS]


def twin_folder(workspace: Workspace, cell: Cell) -> RunFolder:
    """Return the run folder in which a teacher of the ablation gets a student."""
    return RunFolder(workspace.out / "distilled" / cell.place)


def read_twins(workspace: Workspace, style: str, seeds: int) -> dict[Cell, dict[str, Any]]:
    """Read the scores of the students that are finished.

    Returns:
        By cell: set -> metric -> one number a picture.
    """
    paths = {c: twin_folder(workspace, c).root / SCORES for c in twin_cells(style, seeds)}
    return {cell: json.loads(path.read_text()) for cell, path in paths.items() if path.is_file()}


def twin_table(scores: Mapping[Cell, Mapping[str, Any]]) -> ScoreTable:
    """Make the table of students: the sets of pictures take the place of styles."""
    return make_table(
        {
            Cell(name, cell.row, cell.seed): {metric: of_set[metric] for metric in BETTER}
            for cell, of_sets in scores.items()
            for name, of_set in of_sets.items()
        }
    )


def shown_pictures(workspace: Workspace, style: str) -> list[ShownPicture]:
    """Read the pictures and photographs that both students are shown on, with their truth."""
    pictures = read_pictures(workspace, picture_set(style))
    truth = read_drawings(workspace.truth(style) / DRAWINGS)
    chosen = [ShownPicture(f"{PICTURES}-{i:04d}", pictures[i], truth[i]) for i in workspace.shown]
    if style == LINE_ART:
        return chosen
    for photograph in find_photographs([BUNDLED]):
        picture = read_photograph(photograph.path)
        name = f"{PHOTOGRAPHS}-{photograph.name}"
        chosen.append(ShownPicture(name, picture, STYLES[style](picture)))
    return chosen


def _twin_recipe(workspace: Workspace, cell: Cell, root: Path) -> Recipe:
    """Make one student's recipe: the ablation's, with its own folder, seeds and drawing."""
    data = workspace.recipe.model_dump(mode="json")
    data["style"], data["run"] = cell.style, root.as_posix()
    prompts = workspace.recipe.prompts_path
    data["teach"] |= {"cdst": cell.row == FULL, "seed": cell.seed,
                      "prompts": None if prompts is None else str(prompts)}  # fmt: skip
    data["example"]["drawing"] = "drawing.png"
    data["dataset"] |= {"out": (root / "dataset").as_posix(), "seed": cell.seed}
    data["distill"] |= {"seed": cell.seed}
    return parse_recipe(data, root)


def _score_pictures(
    workspace: Workspace, style: str, student: Extractor, perceptual: Perceptual, drawings: Path
) -> Mapping[str, Sequence[float]]:
    """Score a student on the ablation's pictures, and keep the drawings that are shown."""
    pictures = read_pictures(workspace, picture_set(style))
    drawn = np.stack(list(student.sketches(pictures)))
    for i in workspace.shown:
        write_png(drawings / f"{PICTURES}-{i:04d}.png", drawn[i])
    return score_drawings(drawn, read_drawings(workspace.truth(style) / DRAWINGS), perceptual)


def _score_photographs(
    style: str, student: Extractor, perceptual: Perceptual, drawings: Path
) -> Mapping[str, Sequence[float]]:
    """Score a student on the bundled photographs, whose truth is computed."""
    scores: dict[str, list[float]] = {}
    for photograph in find_photographs([BUNDLED]):
        picture = read_photograph(photograph.path)
        drawing = student.sketch(picture)
        write_png(drawings / f"{PHOTOGRAPHS}-{photograph.name}.png", drawing)
        scored = score_drawings(drawing[None], STYLES[style](picture)[None], perceptual)
        for metric, values in scored.items():
            scores.setdefault(metric, []).extend(values)
    return scores
