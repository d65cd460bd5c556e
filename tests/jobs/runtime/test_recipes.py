"""Which recipe a command works on, where its artefacts and its weights lie, on which device."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.report.stage_times import read_events
from jobs.runtime.devices import choose_machine
from jobs.runtime.recipes import find_recipe, open_recipe, shipped_styles
from jobs.runtime.session import open_session
from jobs.runtime.weights import embedded, locate_backbone
from pipeline.recipe.fields import RecipeError
from pipeline.storage.store import StorageError


def test_shipped_styles_load_by_name() -> None:
    for name, path in shipped_styles().items():
        recipe = open_recipe(name)
        assert recipe.style == name
        assert find_recipe(name) == path


def test_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(ValueError, match="no recipe 'nothing'.*xdog"):
        find_recipe("nothing")


def test_another_run_folder_moves_run_and_dataset() -> None:
    recipe = open_recipe("xdog", "elsewhere/x")
    assert recipe.run == "elsewhere/x"
    assert recipe.dataset.out == "elsewhere/x/dataset"
    assert recipe.drawing_path.parent == shipped_styles()["xdog"].parent.absolute()


def test_a_dataset_elsewhere_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "style: a\nexample: {prompt: b, seed: 1, drawing: c.png}\ndataset: {out: 's3://b/a'}\n"
    )
    assert open_recipe(str(path), "x").dataset.out == "s3://b/a"


def test_a_run_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for run in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(ValueError, match=r"/file is a file, and a run needs a folder: give"):
            open_recipe("xdog", str(run))


def test_a_run_may_be_an_address() -> None:
    recipe = open_recipe("xdog", "s3://bucket/run/")
    assert recipe.run == "s3://bucket/run" and recipe.dataset.out == "s3://bucket/run/dataset"
    for run in ("gs://bucket/run", "s3://", "s3://user:key@bucket/run"):
        with pytest.raises(StorageError, match="s3://bucket/prefix"):
            open_recipe("xdog", run)


def test_a_misspelt_run_leaves_nothing_behind(tmp_path: Path) -> None:
    run = tmp_path / "nowhere"
    with (
        pytest.raises(KeyError),
        open_session("xdog", run, "cpu") as session,
        session.events.stage("teach"),
    ):
        raise KeyError
    assert not run.exists()


def test_events_before_the_run_folder_are_kept_once_it_is_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with open_session("xdog", run, "cpu") as session, session.events.stage("source"):
        run.mkdir()
        session.events("source.ready")
        early = read_events(run / "events.jsonl")
    names = [event["event"] for event in read_events(run / "events.jsonl")]
    assert names == ["run.opened", "stage.started", "source.ready", "stage.finished"]
    assert len(early) == 3


def test_backbones_by_folder_hub_id_or_a_clear_refusal(tmp_path: Path) -> None:
    assert locate_backbone(str(tmp_path)) == str(tmp_path)
    assert locate_backbone("CompVis/stable-diffusion-v1-4") == "CompVis/stable-diffusion-v1-4"
    with pytest.raises(ValueError, match="neither an existing diffusers folder nor a hub id"):
        locate_backbone(str(tmp_path / "gone"))


def test_missing_embedded_weights_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.runtime.weights._embedded_root", lambda: tmp_path)
    with pytest.raises(ValueError, match="embedded clip is missing.*train-embedded"):
        embedded("clip")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_machine("auto").device == "cpu"
    with pytest.raises(ValueError, match="not present on this machine"):
        choose_machine("cuda")


@pytest.mark.parametrize("device", ["gpu", "cpu:zzz", "cuda:", "cuda:-1", "cuda:1x", "mps:0", ""])
def test_devices_of_other_names_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"'{device}': use auto, cpu, cuda or cuda:N, or mps"):
        choose_machine(device)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert choose_machine("cuda:1").device == "cuda:1"
    with pytest.raises(ValueError, match="which has cpu, cuda:0, cuda:1: use"):
        choose_machine("cuda:2")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("", ["teach.clip", "teach.perceptual", "distill.perceptual"]),
        ("teach: {clip: a.pt, perceptual: b.pth}\n", ["distill.perceptual"]),
        ("teach: {clip: a.pt}\ndistill: {perceptual: c.pth}\n", ["teach.perceptual"]),
        ("teach: {clip: a.pt, perceptual: b.pth}\ndistill: {perceptual: c.pth}\n", []),
    ],
)
def test_toys_judge_no_real_backbone(tmp_path: Path, given: str, missing: list[str]) -> None:
    path = tmp_path / "recipe.yaml"
    text = "style: a\nexample: {prompt: b, seed: 1, drawing: c.png}\n" + given
    path.write_text(text)
    open_recipe(str(path))
    path.write_text(f"backbone: models/sd\n{text}")
    if not missing:
        assert open_recipe(str(path)).backbone == "models/sd"
        return
    with pytest.raises(RecipeError) as caught:
        open_recipe(str(path))
    errors = getattr(caught.value, "errors", [caught.value])
    assert [error.key for error in errors] == missing
    assert "such as" in str(caught.value) and ":FILE" in str(caught.value)


def test_near_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "contour.yaml").write_text("style: contour\n")
    for typed, meant in ((tmp_path / "contour.yml", "contour.yaml"), (Path("xdgo"), "xdog")):
        with pytest.raises(ValueError, match=rf"no such file.*did you mean .*{meant}"):
            find_recipe(str(typed))
