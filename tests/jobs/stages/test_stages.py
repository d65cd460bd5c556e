"""The stages as commands, on tiny models: what each leaves, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from jobs.nodes.teacher_factory import TeacherFactory
from jobs.runtime.recipes import open_recipe
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.storage.address import open_store
from pipeline.storage.lease import folder_lease

ROOT = Path(__file__).parents[3]
# Room for the event log, not for a picture.
SPACE_BYTES = 2048


def onesketch(*arguments: str) -> Result:
    """Run the command in this process; an unexpected error fails the test with its traceback."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(*arguments: str) -> str:
    """Run a command that must refuse; return its one line."""
    result = onesketch(*arguments)
    own = [line for line in result.stderr.splitlines() if line.startswith("onesketch: ")]
    assert result.exit_code == 2, result.stderr
    assert len(own) == 1
    assert "Traceback" not in result.stderr
    return own[0]


def change(project: Path, section: str, **values: Any) -> None:
    """Change a section of the project's recipe."""
    path = project / "recipe.yaml"
    data = yaml.safe_load(path.read_text())
    data[section] = data.get(section, {}) | values
    path.write_text(yaml.safe_dump(data))


def draw(project: Path) -> None:
    onesketch("style", "xdog", "run/source/image.png", "--out", "drawing.png")


@pytest.fixture
def drawn(project: Path) -> Path:
    assert onesketch("source", "recipe.yaml").exit_code == 0
    draw(project)
    return project


def test_a_student_that_is_not_there_is_refused_before_teaching(project: Path) -> None:
    change(project, "distill", student="pix2pix")
    assert "no student 'pix2pix': expected one of pix2pixhd" in refusal("teach", "recipe.yaml")
    assert not (project / "run" / "teacher").exists()


def test_source_style_and_teach_leave_their_artefacts(drawn: Path) -> None:
    image = np.asarray(Image.open("run/source/image.png"))
    drawing = np.asarray(Image.open("drawing.png"))
    assert image.shape == (64, 64, 3)
    assert drawing.shape == (64, 64)
    assert onesketch("teach", "recipe.yaml").exit_code == 0
    assert {"gsketch.safetensors", "strip.png", "known.png"} <= {
        path.name for path in Path("run/teacher").iterdir()
    }
    events = [json.loads(line) for line in Path("run/events.jsonl").read_text().splitlines()]
    finished = [event["stage"] for event in events if event["event"] == "stage.finished"]
    assert finished == ["source", "teach"]


def test_teaching_again_changes_nothing(drawn: Path) -> None:
    onesketch("teach", "recipe.yaml")
    weights = Path("run/teacher/gsketch.safetensors")
    before = weights.stat().st_mtime_ns
    assert onesketch("teach", "recipe.yaml").exit_code == 0
    assert weights.stat().st_mtime_ns == before


def test_unknown_recipe_key(project: Path) -> None:
    change(project, "teach", iteration=5)
    assert "did you mean 'iterations'?" in refusal("source", "recipe.yaml")
    assert not Path("run").exists()


def test_missing_drawing(project: Path) -> None:
    onesketch("source", "recipe.yaml")
    assert "drawing.png is missing" in refusal("teach", "recipe.yaml")
    assert not Path("run/teacher").exists()


def test_drawing_of_another_size(drawn: Path) -> None:
    Image.new("L", (32, 64), 255).save("drawing.png")
    line = refusal("teach", "recipe.yaml")
    assert "32 x 64 px" in line
    assert "64 x 64 px" in line


def test_unreadable_drawing(drawn: Path) -> None:
    Path("drawing.png").write_bytes(b"no picture")
    assert "drawing.png" in refusal("teach", "recipe.yaml")


def test_backbone_with_a_missing_file(
    project: Path, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(tiny_settings["backbone"], tmp_path / "cut")
    (tmp_path / "cut" / "vae" / "config.json").unlink()
    data = yaml.safe_load(Path("recipe.yaml").read_text()) | {"backbone": str(tmp_path / "cut")}
    Path("recipe.yaml").write_text(yaml.safe_dump(data))
    assert "vae/config.json" in refusal("source", "recipe.yaml")
    assert not Path("run/source/source.json").exists()


def test_teaching_something_else_into_the_same_folder(drawn: Path) -> None:
    onesketch("teach", "recipe.yaml")
    change(drawn, "teach", iterations=4)
    assert "iterations: 2 -> 4" in refusal("teach", "recipe.yaml")


def test_dataset_of_another_plan(drawn: Path) -> None:
    onesketch("teach", "recipe.yaml")
    recipe = open_recipe("recipe.yaml")
    other = plan_from_recipe(recipe, {"teacher/config.json": "0" * 64}, {})
    write_or_check(open_store(recipe.dataset.out), other)
    before = sorted(Path("run/dataset").rglob("*"))
    line = refusal("generate", "recipe.yaml")
    assert "holds a dataset of another plan" in line
    assert "teacher/config.json: stored '0000" in line
    assert sorted(Path("run/dataset").rglob("*")) == before


@pytest.mark.s3
def test_generating_into_a_store_that_refuses(
    drawn: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onesketch("teach", "recipe.yaml")
    monkeypatch.setattr(TeacherFactory, "__call__", _never_loaded)
    change(drawn, "dataset", out="s3://no-such-bucket/ink")
    assert "the bucket does not exist" in refusal("generate", "recipe.yaml")
    change(drawn, "dataset", out=f"s3://{bucket}/ink")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    line = refusal("generate", "recipe.yaml")
    assert "access key or secret key is wrong" in line and "wJalrXUtnFEMI" not in line
    assert "wJalrXUtnFEMI" not in Path("run/events.jsonl").read_text()


def _never_loaded(factory: TeacherFactory) -> None:
    raise AssertionError("the teacher was loaded")


def test_generating_without_a_teacher(project: Path) -> None:
    assert "run `onesketch teach` first" in refusal("generate", "recipe.yaml")
    assert not Path("run/dataset").exists()


def test_no_space(project: Path) -> None:
    """A limit on file sizes stands for a full disk: the system refuses a real write."""
    program = (
        "import resource; from jobs.cli.main import app;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({SPACE_BYTES}, {SPACE_BYTES}));"
        "app(['source', 'recipe.yaml'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    own = [line for line in done.stderr.splitlines() if line.startswith("onesketch: ")]
    assert done.returncode == 2, done.stderr
    assert len(own) == 1
    assert "no space" in own[0].lower() or "too large" in own[0].lower()
    assert not Path("run/source/source.json").exists()
    assert "`onesketch source` first" in refusal("teach", "recipe.yaml")


def test_unknown_style_and_unreadable_image(project: Path) -> None:
    Path("photo.png").write_bytes(b"no picture")
    assert "photo.png: cannot be read" in refusal("style", "xdog", "photo.png", "--out", "d.png")
    assert "unknown style 'oil'" in refusal("style", "oil", "photo.png", "--out", "d.png")
    assert not Path("d.png").exists()


def test_missing_extractor(project: Path) -> None:
    line = refusal("extract", "nowhere", "bundled", "--out", "drawings")
    assert "nowhere" in line
    assert not Path("drawings").exists()


def test_source_keeps_the_image_that_may_be_drawn_over(drawn: Path) -> None:
    image = Path("run/source/image.png")
    image.write_bytes(image.read_bytes() + b"drawn over")
    before = image.read_bytes()
    assert onesketch("source", "recipe.yaml").exit_code == 0
    assert image.read_bytes() == before, "the same source is not made again"
    change(drawn, "example", prompt="a blue boat")
    line = refusal("source", "recipe.yaml")
    assert "made with prompt = 'a red cat', the recipe says 'a blue boat'" in line
    assert "--again" in line and image.read_bytes() == before


def test_source_of_another_backbone_is_refused(drawn: Path, tiny_settings: dict[str, Any]) -> None:
    other = drawn / "other"
    shutil.copytree(tiny_settings["backbone"], other)
    config = other / "vae" / "config.json"
    config.write_text(config.read_text() + "\n")
    data = yaml.safe_load(Path("recipe.yaml").read_text()) | {"backbone": str(other)}
    Path("recipe.yaml").write_text(yaml.safe_dump(data))
    assert "made with another backbone" in refusal("source", "recipe.yaml")


def test_a_new_drawing_is_taught_again_after_saying_what_goes(drawn: Path) -> None:
    onesketch("teach", "recipe.yaml")
    recipe = open_recipe("recipe.yaml")
    store = open_store(recipe.dataset.out)
    write_or_check(store, plan_from_recipe(recipe, {"teacher/config.json": "0" * 64}, {}))
    store.create("notes.txt", b"a person's")
    before = Path("run/teacher/gsketch.safetensors").read_bytes()
    Image.open("drawing.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("drawing.png")
    line = refusal("teach", "recipe.yaml")
    assert "(drawing changed)" in line and "onesketch teach --again" in line
    result = onesketch("teach", "recipe.yaml", "--again")
    assert result.exit_code == 0, result.stderr
    assert "run/teacher: 8 files" in result.stderr and "run/dataset: 1 file," in result.stderr
    assert Path("run/teacher/gsketch.safetensors").read_bytes() != before
    assert store.keys("") == ["notes.txt"] and Path("run/source/image.png").exists()


def test_a_second_teach_on_one_run_says_who_is_at_work(drawn: Path) -> None:
    with folder_lease(Path("run/.teach.lock"), "teach"):
        line = refusal("teach", "recipe.yaml")
    assert f"process {os.getpid()} on " in line and "changed nothing" in line
    assert not Path("run/teacher").exists()


def test_a_larger_picture_to_draw_over_is_never_replaced(project: Path) -> None:
    result = onesketch("source", "recipe.yaml", "--scale", "4")
    path = project / "xdog-x4.png"
    assert "to draw over: xdog-x4.png" in result.stdout
    assert Image.open(path).size == (256, 256)
    assert onesketch("source", "recipe.yaml", "--scale", "4").exit_code == 0
    Image.new("L", (256, 256), 255).save(path)
    assert "is there already, and stays" in refusal("source", "recipe.yaml", "--scale", "4")
    assert np.asarray(Image.open(path)).min() == 255


def test_a_larger_drawing_is_taught_after_saying_so(drawn: Path) -> None:
    small = Image.open("drawing.png")
    small.resize((256, 256), Image.Resampling.NEAREST).save("drawing.png")
    result = onesketch("teach", "recipe.yaml")
    assert result.exit_code == 0 and "4 x 4 pixels to one" in result.stderr
