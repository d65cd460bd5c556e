"""The ablation's pieces on tiny models, one after the other as Ray would run them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.experiments.ablate import Ablation, open_workspace, prepare, write_results
from jobs.experiments.ablation import samples
from jobs.experiments.ablation.distilled import open_twin
from jobs.experiments.ablation.rows import ROWS, Cell, cells
from jobs.experiments.ablation.samples import (
    evaluation_batches,
    make_batch,
    remove_training_samples,
    training_batches,
)
from jobs.experiments.ablation.trainings import (
    DRAWINGS,
    TrainingTask,
    TruthTask,
    draw_truth,
    read_drawings,
    read_pictures,
    read_training_scores,
    train_and_score,
)
from jobs.experiments.ablation.workspace import GENERATED, SCENES, Workspace, load_models
from jobs.runtime.devices import Machine
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.example import load_example
from pipeline.recipe.recipe import Recipe, parse_recipe
from training.embedded.scenes.reserved_seeds import EVALUATION_SEEDS
from training.embedded.scenes.scene import make_scene
from training.evaluation.metrics import Ssim
from training.oneshot.samples import CONDITION_STREAM, NOISE_STREAM
from training.styles.registry import STYLES

MACHINE = Machine(device="cpu", dtype=torch.float32, num_cpus=2, num_gpus=0)
ASKED = Ablation(iterations=3, seeds=1, images=3, styles=("xdog", "lineart"))
SHOWN_ROWS = ("full", "no-cdst", "no-vae")
Trained = Mapping[Cell, Mapping[str, Any]]


@pytest.fixture(scope="module")
def recipe(
    tiny_backbone_folder: Path, encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recipe:
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "prompts.txt").write_text("a red cat\na blue dog\na green house\ntwo balls\n")
    data = {
        "style": "xdog",
        "backbone": str(tiny_backbone_folder),
        "example": {"prompt": "a red cat", "seed": 3, "drawing": "drawing.png"},
        "sampler": {"steps": 4, "guidance": 2.0, "batch": 2},
        "teach": {"iterations": 6, "diffusion_duration": 4, "timesteps": [1, 3],
                  "prompts": "prompts.txt", "clip": str(encoders / "clip"),
                  "perceptual": str(encoders / "perceptual")},
        "dataset": {"samples": 4, "shard_size": 2},
        "distill": {"preset": "small", "epochs": 1, "batch": 2, "workers": 1,
                    "perceptual": str(encoders / "perceptual")},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(data))
    return parse_recipe(data, folder)


@pytest.fixture(scope="module")
def workspace(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """An ablation whose shared pieces are made; no training yet."""
    made = open_workspace(recipe, tmp_path_factory.mktemp("ablation"), ASKED, MACHINE)
    made.out.mkdir(exist_ok=True)
    prepare(made, ASKED.styles, load_backbone(made.backbone))
    for batch in (*evaluation_batches(made, ASKED.styles), *training_batches(made, 0)):
        make_batch(batch)
    for style in ASKED.styles:
        draw_truth(TruthTask(made, style))
    yield made
    load_models.cache_clear()


@pytest.fixture(scope="module")
def trained(workspace: Workspace) -> Trained:
    """The same with some rows trained in both styles."""
    some = [cell for cell in cells(ASKED.styles, list(ROWS), 0) if cell.row in SHOWN_ROWS]
    return {cell: train_and_score(TrainingTask(workspace, cell)) for cell in some}


def test_the_length_keeps_the_recipes_proportion(workspace: Workspace) -> None:
    assert (workspace.recipe.teach.iterations, workspace.recipe.teach.diffusion_duration) == (3, 2)
    assert workspace.timesteps == (1, 3) and set(workspace.timesteps) <= set(workspace.union)


def test_what_is_shared_is_made_once(workspace: Workspace) -> None:
    assert evaluation_batches(workspace, ASKED.styles) == []
    assert training_batches(workspace, 0) == []
    # Of another seed: three iterations in batches of two, with CDST and without.
    assert [batch.indices for batch in training_batches(workspace, 1)] == 2 * [
        range(0, 2),
        range(2, 4),
    ]
    lost = next(workspace.samples(0, cdst=False).glob("*.safetensors"))
    kept = lost.read_bytes()
    lost.unlink()
    (again,) = training_batches(workspace, 0)
    make_batch(again)
    assert lost.read_bytes() == kept


def test_the_truth_is_that_of_the_pictures(workspace: Workspace) -> None:
    pictures = read_pictures(workspace, GENERATED)
    truth = read_drawings(workspace.truth("xdog") / DRAWINGS)
    assert pictures.shape == (3, 64, 64, 3)
    assert all(np.array_equal(STYLES["xdog"](p), t) for p, t in zip(pictures, truth, strict=True))
    line_art = read_drawings(workspace.truth("lineart") / DRAWINGS)
    assert np.array_equal(line_art[2], make_scene(EVALUATION_SEEDS[2], 64).line_art)
    assert len(read_pictures(workspace, SCENES)) == 3


def test_scores_are_those_of_the_sketches_that_are_kept(
    workspace: Workspace, trained: Trained
) -> None:
    cell = Cell("lineart", "no-cdst", 0)
    sketches = read_drawings(workspace.training(cell) / "sketches.npz")
    truth = read_drawings(workspace.truth("lineart") / DRAWINGS)
    ssim = Ssim()
    for i in range(3):
        ssim.update(str(i), sketches[i], truth[i])
    assert trained[cell]["ssim"] == [ssim.scores[str(i)] for i in range(3)]
    assert read_training_scores(workspace, cell) == trained[cell]
    assert len({tuple(scores["lpips"]) for scores in trained.values()}) == len(trained)


def test_a_training_that_only_lacks_its_scores_is_not_repeated(
    workspace: Workspace, trained: Trained
) -> None:
    cell = Cell("xdog", "full", 0)
    folder = workspace.training(cell)
    (folder / "scores.json").unlink()
    assert read_training_scores(workspace, cell) is None
    before = (folder / "gsketch.safetensors").stat().st_mtime_ns
    again = train_and_score(TrainingTask(workspace, cell))
    assert (folder / "gsketch.safetensors").stat().st_mtime_ns == before
    assert again["lpips"] == trained[cell]["lpips"]


def test_the_page_shows_what_has_finished(workspace: Workspace, trained: Trained) -> None:
    page = write_results(workspace, ASKED, MACHINE).read_text()
    results = json.loads((workspace.out / "ablation.json").read_text())
    assert results["trainings"] == len(trained) == 6
    assert set(results["table"]["lpips"]) == {"xdog", "lineart", "average"}
    for row in SHOWN_ROWS:
        means = [np.mean(trained[Cell(style, row, 0)]["lpips"]) for style in ASKED.styles]
        shown = results["table"]["lpips"]["average"][row]["mean"]
        assert shown == pytest.approx(np.mean(means))
        assert f"{shown:.4f}" in page
    assert {o["worse"] for o in results["orderings"]} == {"no-cdst", "no-vae"}
    assert "Without VAE features" in page
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?http""", page)


def test_a_folder_of_another_ablation_is_refused(workspace: Workspace, recipe: Recipe) -> None:
    longer = open_workspace(recipe, workspace.out, replace(ASKED, iterations=4), MACHINE)
    with pytest.raises(ValueError, match=r"another ablation \(.*iterations.*--out"):
        prepare(longer, ASKED.styles, load_backbone(longer.backbone))


def test_a_style_that_draws_differently_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STYLES, "xdog", STYLES["sobel"])
    with pytest.raises(ValueError, match=r"xdog\.png: the style draws the example differently"):
        prepare(workspace, ASKED.styles, load_backbone(workspace.backbone))


def test_only_styles_with_a_truth_are_taken(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'ink'\]: expected some of lineart, xdog, edges$"):
        open_workspace(recipe, tmp_path, replace(ASKED, styles=("xdog", "ink")), MACHINE)
    asked = replace(ASKED, styles=("xdog",), distilled=("lineart",))
    with pytest.raises(ValueError, match="students in .*lineart"):
        open_workspace(recipe, tmp_path, asked, MACHINE)


@pytest.mark.parametrize("style", ["xdog", "lineart"])
def test_a_students_run_folder_holds_its_teachers_example(
    workspace: Workspace, trained: Trained, style: str
) -> None:
    cell = Cell(style, "no-cdst", 0)
    session = open_twin(workspace, cell, MACHINE, lambda name, **fields: None)
    pair = load_example(session.recipe, session.folder.source)
    truth = STYLES["xdog"](pair.image) if style == "xdog" else None
    assert truth is None or np.array_equal(pair.drawing, truth)
    assert not session.recipe.teach.cdst
    taught = (session.folder.teacher / "gsketch.safetensors").read_bytes()
    assert taught == (workspace.training(cell) / "gsketch.safetensors").read_bytes()


def test_samples_of_a_finished_seed_are_removed(workspace: Workspace, trained: Trained) -> None:
    remove_training_samples(workspace, 0)
    assert len(training_batches(workspace, 0)) == 4


@pytest.mark.ray
@pytest.mark.slow
def test_the_command_goes_the_whole_way_and_goes_on(
    recipe: Recipe, tmp_path: Path, local_ray: None
) -> None:
    out = tmp_path / "out"
    arguments = ["ablate", str(recipe._folder / "recipe.yaml"), "--out", str(out)]
    arguments += ["--iterations", "2", "--seeds", "1", "--images", "2", "--styles", "xdog"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    results = json.loads((out / "ablation.json").read_text())
    assert results["trainings"] == len(ROWS)
    assert {o["style"] for o in results["students"]["xdog"]["orderings"]} == {
        "pictures",
        "photographs",
    }
    assert not list((out / "samples").rglob("*.safetensors"))
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    (out / "trainings/xdog/l2/seed-0/scores.json").unlink()
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == files


def test_no_picture_to_score_on_is_one_of_a_training() -> None:
    own = samples._EVALUATION_STREAM
    assert own not in {NOISE_STREAM, CONDITION_STREAM, "noise", "condition"}
