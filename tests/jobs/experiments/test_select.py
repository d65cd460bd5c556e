"""`onesketch select`: features against exact taps, resuming, classes, and the whole command."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from jobs.experiments.select import Selection, draw_prompts, run_select
from jobs.experiments.selection import feature_batches
from jobs.experiments.selection.analysis import Check, CountSearch, _pooled_count, balanced
from jobs.experiments.selection.classes import Classes, classes_by_condition, classes_by_word
from jobs.experiments.selection.feature_batches import (
    FeatureBatch,
    measure_layers,
    project_batch,
)
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from pipeline.analysis.selection_count import Agreement, Curves
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.sampling import encode_prompts, initial_noise, sample
from pipeline.diffusion.timesteps import representative
from pipeline.recipe.recipe import Sampling
from pipeline.seeds import generator

MACHINE = Machine(device="cpu", dtype=torch.float32, num_cpus=2, num_gpus=0)
PROMPTS = ("a red cat", "a blue dog", "a green house")


def make_batch(folder: Path, **changes: Any) -> FeatureBatch:
    """Three images of the tiny backbone at four steps."""
    made = FeatureBatch(
        first=5,
        prompts=PROMPTS,
        sampling=Sampling(steps=4, guidance=3.0),
        seed=9,
        dims=4096,
        backbone=str(folder),
        device="cpu",
        dtype=torch.float32,
    )
    return replace(made, **changes)


def exact_taps(folder: Path) -> list[NDArray[np.float64]]:
    """The taps that the batch stands for, each layer (N, T, values), by plain sampling."""
    backbone = load_backbone(folder)
    noise = initial_noise(backbone, [generator(9, 5 + i, "select.noise") for i in range(3)])
    sampling = Sampling(steps=4, guidance=3.0)
    made = sample(backbone, encode_prompts(backbone, PROMPTS), noise, sampling, range(4))
    layers = zip(*(made.taps.unet[t] for t in range(4)), strict=True)
    return [torch.stack(layer, 1).flatten(2).double().numpy() for layer in layers]


def test_features_are_those_of_the_taps(tiny_backbone_folder: Path) -> None:
    taps = exact_taps(tiny_backbone_folder)
    measured = measure_layers(make_batch(tiny_backbone_folder))
    exact = [np.sqrt(((x - x.mean((0, 1))) ** 2).sum(2).mean()) for x in taps]
    np.testing.assert_allclose(measured["deviations"], exact, rtol=0.1)
    assert measured["lengths"].tolist() == [x.shape[2] for x in taps]
    deviations = tuple(float(deviation) for deviation in measured["deviations"])
    found = project_batch(make_batch(tiny_backbone_folder, deviations=deviations))
    divided = np.concatenate([x / d for x, d in zip(taps, deviations, strict=True)], 2)
    for image, projected in zip(divided, found["steps"], strict=True):
        want = np.linalg.norm(image[:, None] - image, axis=2)
        got = np.linalg.norm(projected[:, None] - projected, axis=2)
        np.testing.assert_allclose(got, want, rtol=0.08, atol=1e-4)
    assert found["thumbnails"].shape == (3, 96, 96, 3) and found["thumbnails"].dtype == np.uint8


def test_a_batch_too_big_for_the_memory_is_cut(
    tiny_backbone_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch(tiny_backbone_folder, dims=64, deviations=(1.0,) * 12)
    whole = project_batch(batch)
    monkeypatch.setattr(feature_batches, "MOST_TAP_VALUES", 1)
    cut = project_batch(batch)
    np.testing.assert_allclose(cut["steps"], whole["steps"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(cut["conditions"], whole["conditions"], atol=1e-5)


def test_prompts_are_drawn_without_repeats() -> None:
    drawn = draw_prompts(["a", "b", "c"], 7, seed=0)
    assert sorted(drawn[:3]) == sorted(drawn[3:6]) == ["a", "b", "c"]
    assert drawn[:4] == draw_prompts(["a", "b", "c"], 4, seed=0)


def test_classes_by_the_first_thing_named() -> None:
    prompts = ["two red cats and a house", "a house behind a cat", "fog", "a cat"]
    found = classes_by_word(prompts, ("house", "boat", "cat"))
    assert found.names == ("house", "cat", "other")
    assert found.labels.tolist() == [1, 0, 2, 1]


def test_classes_by_meaning() -> None:
    prompts = ["a tabby cat", "a black cat", "a fast car", "a red car"]
    conditions = np.array([[0.0, 1], [0.1, 1], [9, 0], [9.1, 0]]).repeat(1, axis=0)
    found = classes_by_condition(prompts * 10, np.tile(conditions, (10, 1)), seed=0)
    assert len(found.names) == len(set(found.names)) == 4
    groups = {tuple(found.labels[n::4]) for n in range(4)}
    assert len(groups) == 4 and all(len(set(group)) == 1 for group in groups)


def test_axes_are_fitted_to_balanced_classes() -> None:
    labels = np.array([0] * 40 + [1] * 7 + [2] * 3)
    chosen = balanced(Classes(("a", "b", "c"), labels, ""), seed=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 5, 3]
    assert len(set(chosen)) == len(chosen)


def test_a_tie_beats_nobody() -> None:
    check = Check({"equal": 3.0, "medoid": 1.9, "representative": 2.0}, {}, random=(2.0, 5.0))
    assert check.beats_all("medoid") and not check.beats_all("representative")


@pytest.fixture
def model(tiny_backbone_folder: Path, tmp_path: Path) -> Path:
    """The tiny backbone, and prompts beside it."""
    folder = shutil.copytree(tiny_backbone_folder, tmp_path / "model")
    (folder / "prompts.txt").write_text("\n".join(PROMPTS))
    return folder


def select(model: Path, out: Path, **changes: Any) -> dict[str, Any]:
    """Run the command on ten images at eight steps; return its figures."""
    asked = Selection(10, 8, 2.0, None, seed=1, write=False, workers=2)
    with Events(Console(stderr=True)) as events:
        run_select(str(model), out, replace(asked, **changes), MACHINE, events)
    return json.loads((out / "selection.json").read_text())


@pytest.mark.ray
def test_command_selects_resumes_and_writes(
    model: Path, tmp_path: Path, local_ray: None, caplog: pytest.LogCaptureFixture
) -> None:
    figures = select(model, tmp_path / "out")
    chosen = figures["steps"][figures["default"]]
    assert len(chosen) == figures["count"] == len(figures["steps"]["medoid"])
    shared = figures["check_on_axes"]["shared_nearest"]
    assert shared["medoid"] <= min(shared.values()) + 1e-9
    assert sum(figures["counts"][0]["histogram"].values()) == 10
    page = (tmp_path / "out" / "selection.html").read_text()
    assert 'src="http' not in page and 'href="http' not in page and page.count("<svg") == 6
    assert ", ".join(map(str, chosen)) in page

    features = tmp_path / "out" / "features"
    kept, torn = features / "000000.npz", features / "000008.npz"
    before = kept.stat().st_mtime_ns
    torn.write_bytes(torn.read_bytes()[:-200])
    again = select(model, tmp_path / "out", write=True)
    assert kept.stat().st_mtime_ns == before
    for name in ("count", "steps", "default", "check_in_full"):
        assert again[name] == figures[name]
    assert representative(model, 8) == tuple(chosen)
    assert [log for log in caplog.records if log.levelno >= logging.WARNING] == []

    # More images: the batch that is full stays, the one of two images is made anew.
    more = select(model, tmp_path / "out", images=12)
    assert more["images"] == 12 and kept.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"other settings \(guidance\)"):
        select(model, tmp_path / "out", guidance=3.0)


def test_wrong_input_is_refused_in_one_line(model: Path, tmp_path: Path) -> None:
    from jobs.cli.main import app

    command = ["select", str(model), "--out", str(tmp_path / "out"), "--images", "3"]
    few = CliRunner().invoke(app, [*command, "--steps", "3"])
    assert few.exit_code == 2
    missing = CliRunner().invoke(app, [*command, "--prompts", str(tmp_path / "none.txt")])
    assert missing.exit_code == 2 and "no such file" in missing.output
    nowhere = CliRunner().invoke(app, ["select", "nowhere", "--out", str(tmp_path / "out")])
    assert nowhere.exit_code == 2 and "neither" in nowhere.output


def test_k_is_the_mean_over_both_numbers_of_components() -> None:
    """DiffSketch, appendix B: 2 and 5 give 3.5, and by rounding to even 4."""
    curves = Curves(np.arange(2, 6), *(np.zeros((1, 4)) for _ in range(3)))
    counts = [
        CountSearch(components, curves, Agreement(np.array([k, k]), matched=2))
        for components, k in ((10, 2), (30, 5))
    ]
    assert _pooled_count(counts) == 4
