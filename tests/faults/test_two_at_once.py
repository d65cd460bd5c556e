"""Two commands on one run at the same time: nothing is lost, doubled or mixed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.dataset import layout
from pipeline.storage.address import open_store
from tests.standins.tiny_encoders import write_clip, write_perceptual

ROOT = Path(__file__).parents[2]
# Each is two cold starts; a night may ask for twenty.
ROUNDS = int(os.environ.get("ONESKETCH_ROUNDS", "1"))
SAMPLES, SHARD_SIZE, ITERATIONS = 12, 2, 6

pytestmark = [pytest.mark.faults, pytest.mark.ray]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_backbone_folder: Path) -> Path:
    """A recipe on tiny models with its drawing, and a source."""
    folder = tmp_path_factory.mktemp("project")
    write_clip(folder / "clip")
    perceptual = str(write_perceptual(folder / "perceptual"))
    recipe = {
        "style": "xdog",
        "backbone": str(tiny_backbone_folder),
        "run": "run",
        "example": {"prompt": "a red cat", "seed": 3, "drawing": "drawing.png"},
        "sampler": {"steps": 3, "guidance": 2.0, "batch": 2},
        "teach": {"iterations": ITERATIONS, "diffusion_duration": 2, "timesteps": [0, 2],
                  "prompts": "prompts.txt", "clip": str(folder / "clip"),
                  "perceptual": perceptual},
        "dataset": {"samples": SAMPLES, "shard_size": SHARD_SIZE},
        "distill": {"preset": "small", "epochs": 2, "batch": 2, "workers": 1,
                    "perceptual": perceptual},
    }  # fmt: skip
    (folder / "prompts.txt").write_text("a red cat\na blue dog\na green house\n")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for arguments in (
        ["source", "recipe.yaml"],
        ["style", "xdog", "run/source/image.png", "--out", "drawing.png"],
    ):
        assert start(folder, *arguments).wait() == 0
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from jobs.cli.main import app; app()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def two_at_once(folder: Path, stage: str, run: str) -> list[int]:
    """Start a stage twice; return the exit codes, and see that a refusal says who is at work."""
    both = [start(folder, stage, "recipe.yaml", "--run", run) for _ in range(2)]
    errors = [process.communicate(timeout=280)[1] for process in both]
    codes = [process.returncode for process in both]
    for code, error in zip(codes, errors, strict=True):
        assert code in (0, 2), error
        assert code == 0 or "is at work on it" in error, error
    return codes


def objects(address: str) -> dict[str, bytes]:
    """Shards and index of a dataset; its records name the run, which is another in each round."""
    store = open_store(address)
    keys = [*store.keys(layout.SHARDS), *store.keys(layout.INDEX)]
    return {key: store.read(key) for key in keys}


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_each_stage(
    place: str,
    project: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    known: dict[str, bytes] = {}
    for number in range(ROUNDS):
        run = f"run-{number}"
        if place == "folder":
            shutil.copytree(project / "run" / "source", project / run / "source")
            read: Callable[[str], bytes] = lambda key, run=run: (project / run / key).read_bytes()  # noqa: E731
        else:
            run = f"s3://{request.getfixturevalue('bucket')}/{run}"
            assert start(project, "source", "recipe.yaml", "--run", run).wait() == 0
            read = open_store(run).read
        # The second may also come when the first is done, and find nothing to do.
        assert 0 in two_at_once(project, "teach", run)
        assert iterations_of(read("teacher/history.jsonl")) == list(range(ITERATIONS))
        assert two_at_once(project, "generate", run) == [0, 0]
        assert pairs_made(place, project, run) == SAMPLES
        address = run + "/dataset" if place == "s3" else str(project / run / "dataset")
        assert open_store(address).keys(layout.WORKERS) == []
        dataset = objects(address)
        assert len(dataset) == 2 * SAMPLES / SHARD_SIZE
        known = known or dataset
        assert dataset == known
        assert 0 in two_at_once(project, "distill", run)
        lines = iterations_of(read("extractor/history.jsonl"))
        assert lines == list(range(len(lines)))


def iterations_of(history: bytes) -> list[int]:
    return [json.loads(line)["iteration"] for line in history.splitlines()]


def pairs_made(place: str, project: Path, run: str) -> int:
    """Sum what all runs of generate say that they made."""
    if place == "folder":
        records: list[Any] = json.loads((project / run / "generation.json").read_text())["runs"]
    else:
        store = open_store(run)
        keys = store.keys("generation/")
        records = [record for key in keys for record in json.loads(store.read(key))["runs"]]
    return sum(record["pairs_made"] for record in records)
