"""Uploads: a recipe and what it names, nothing else, and paths that hold there as here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.submission.upload import UploadError, check_models, plan_upload
from pipeline.recipe.recipe import load_recipe, parse_recipe
from tests.jobs.submission.conftest import Project


def staged(path: Path) -> dict[str, bytes]:
    upload = plan_upload(path, load_recipe(path), needs_drawing=True)
    with upload.staged() as folder:
        root = Path(folder)
        found = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.*")}
        recipe = load_recipe(root / upload.recipe)
        assert recipe.drawing_path.resolve().read_bytes() == b"a drawing"
        assert recipe.prompts_path is None or recipe.prompts_path.is_file()
        # Its plan is the same as here.
        assert recipe.resolved() == load_recipe(path).resolved()
    assert not root.exists()
    assert upload.size_bytes == sum(map(len, found.values()))
    return found


def write(project: Project, settings: dict[str, Any], drawing: str, prompts: str | None) -> None:
    settings["example"]["drawing"] = drawing
    settings["teach"] = {"prompts": prompts} if prompts else {}
    project.recipe.write_text(yaml.safe_dump(settings))


def test_files_beside_the_recipe_go_along_and_others_do_not(project: Project) -> None:
    found = staged(project.recipe)
    assert found.keys() == {"recipe.yaml", "drawing.png", "prompts.txt"}
    assert found["recipe.yaml"] == project.recipe.read_bytes()


def test_files_above_the_recipe_keep_their_place(
    project: Project, settings: dict[str, Any]
) -> None:
    (project.folder.parent / "shared").mkdir()
    (project.folder / "drawing.png").rename(project.folder.parent / "shared" / "cat.png")
    write(project, settings, "../shared/cat.png", "prompts.txt")
    found = staged(project.recipe)
    assert found.keys() == {"style/recipe.yaml", "shared/cat.png", "style/prompts.txt"}
    assert found["style/recipe.yaml"] == project.recipe.read_bytes()


def test_absolute_paths_lead_to_files_beside_the_recipe(
    project: Project, settings: dict[str, Any]
) -> None:
    elsewhere = project.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (project.folder / "drawing.png").rename(elsewhere / "cat.png")
    write(project, settings, str(elsewhere / "cat.png"), None)
    found = staged(project.recipe)
    assert found.keys() == {"recipe.yaml", "cat.png"}
    assert str(elsewhere).encode() not in found["recipe.yaml"]


def test_two_files_of_one_name_are_refused(project: Project, settings: dict[str, Any]) -> None:
    (project.folder / "a").mkdir()
    (project.folder / "a" / "prompts.txt").write_text("a cat")
    write(project, settings, str(project.folder / "a" / "prompts.txt"), "prompts.txt")
    with pytest.raises(UploadError, match=r"two files would be prompts\.txt"):
        plan_upload(project.recipe, load_recipe(project.recipe), needs_drawing=True)


def test_a_drawing_in_a_store_stays_there(project: Project, settings: dict[str, Any]) -> None:
    write(project, settings, "s3://drawings/cat.png", "prompts.txt")
    upload = plan_upload(project.recipe, load_recipe(project.recipe), needs_drawing=True)
    assert [file.name for file in upload.files] == ["recipe.yaml", "prompts.txt"]


def test_missing_files_are_named(project: Project, settings: dict[str, Any]) -> None:
    (project.folder / "drawing.png").unlink()
    recipe = load_recipe(project.recipe)
    with pytest.raises(UploadError, match=r"drawing \S+/drawing\.png is missing"):
        plan_upload(project.recipe, recipe, needs_drawing=True)
    upload = plan_upload(project.recipe, recipe, needs_drawing=False)
    assert [file.name for file in upload.files] == ["recipe.yaml", "prompts.txt"]
    (project.folder / "prompts.txt").unlink()
    with pytest.raises(UploadError, match=r"prompts \S+/prompts\.txt is missing"):
        plan_upload(project.recipe, recipe, needs_drawing=False)


def test_too_much_is_refused_with_the_largest(project: Project) -> None:
    with (project.folder / "drawing.png").open("wb") as file:
        os.truncate(file.fileno(), 91 * 2**20)
    with pytest.raises(UploadError) as refused:
        plan_upload(project.recipe, load_recipe(project.recipe), needs_drawing=True)
    text = str(refused.value)
    assert "95.4 MB" in text and "at most 94.4 MB" in text
    names = ("drawing.png (95.4 MB)", "recipe.yaml (", "prompts.txt (")
    places = [text.index(name) for name in names]
    assert places == sorted(places)


def test_folders_that_ray_leaves_out_are_refused(
    project: Project, settings: dict[str, Any]
) -> None:
    (project.folder / "venv").mkdir()
    (project.folder / "drawing.png").rename(project.folder / "venv" / "drawing.png")
    write(project, settings, "venv/drawing.png", None)
    with pytest.raises(UploadError, match="does not upload"):
        plan_upload(project.recipe, load_recipe(project.recipe), needs_drawing=True)


@pytest.mark.parametrize(
    ("key", "location", "fine"),
    [
        ("backbone", "models/sd", False),
        ("clip", "ViT-B-32:models/clip.bin", False),
        ("backbone", "s3://models/sd", True),
        ("backbone", "CompVis/stable-diffusion-v1-4", True),
        ("backbone", "embedded", True),
    ],
)
def test_models_of_this_machine_are_refused(
    tmp_path: Path,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    location: str,
    fine: bool,
) -> None:
    (tmp_path / "models" / "sd").mkdir(parents=True)
    (tmp_path / "models" / "clip.bin").touch()
    monkeypatch.chdir(tmp_path)
    (settings if key == "backbone" else settings["teach"])[key] = location
    recipe = parse_recipe(settings, tmp_path)
    if fine:
        check_models(recipe)
    else:
        with pytest.raises(UploadError, match="models are not uploaded"):
            check_models(recipe)
