"""`onesketch all`: one stage after the other, and none twice; in a folder and in a bucket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from pipeline.storage.address import open_store

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[3]
STAGES = ["teach", "generate", "distill"]


def onesketch(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def stages(log: str) -> list[str]:
    return re.findall(r"stage\.finished stage=(\w+)", log)


def draw(image: Path) -> None:
    assert onesketch("style", "xdog", str(image), "--out", "drawing.png").exit_code == 0


def test_a_run_in_a_folder_needs_its_drawing_and_then_goes_through(
    project: Path, local_ray: None
) -> None:
    waiting = onesketch("all", "recipe.yaml")
    assert waiting.exit_code == 2 and "drawing.png" in waiting.stderr
    assert (project / "run" / "source" / "image.png").is_file()
    draw(project / "run" / "source" / "image.png")
    assert stages(onesketch("all", "recipe.yaml", "--workers", "2").stderr) == STAGES
    made = modified(project / "run")
    assert {"teacher", "dataset", "extractor"} <= {path.split("/")[0] for path in made}
    assert stages(onesketch("all", "recipe.yaml", "--workers", "2").stderr) == STAGES
    assert modified(project / "run") == made


def modified(run: Path) -> dict[str, int]:
    """Times of all that stages leave, but for the records of commands."""
    return {
        path.relative_to(run).as_posix(): path.stat().st_mtime_ns
        for path in run.rglob("*")
        if path.is_file() and path.parent != run
    }


@pytest.mark.s3
def test_a_run_at_an_address_leaves_nothing_on_the_disk(
    project: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{bucket}/run"
    monkeypatch.setenv("ONESKETCH_CACHE", str(project / "cache"))
    assert onesketch("source", "recipe.yaml", "--run", address).exit_code == 0
    image = project / "image.png"
    image.write_bytes(open_store(address).read("source/image.png"))
    draw(image)
    before = set(project.iterdir())
    # In a process and with a Ray of its own, whose workers have the bucket's credentials.
    command = [sys.executable, "-c", "from jobs.cli.main import app; app()", "all", "recipe.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--run", address], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
    assert stages(done.stderr) == STAGES
    assert set(project.iterdir()) - before <= {project / "cache"}
    kept = list(open_store(address).keys(""))
    assert {"teacher/files.json", "dataset/manifest.json", "extractor/files.json"} <= set(kept)
    assert not [key for key in kept if key.startswith("checkpoints/")]
