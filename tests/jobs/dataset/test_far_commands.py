"""The commands about a dataset that lies in a real object store, as people type them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from pipeline.dataset import layout
from pipeline.storage.address import open_store
from tests.servers.swift_server import SwiftServer
from tests.standins.hostile_shards import flipped

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
COMMAND = "from jobs.cli.main import app; app()"


class Shell:
    """Runs `onesketch` in a process of its own, as a person's shell would."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        paths = {"PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}
        self.environment = {**os.environ, **environment, **paths}

    def __call__(self, *arguments: object, ends_in: int = 0) -> str:
        command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == ends_in, done.stderr
        return done.stdout + done.stderr


def test_from_the_plan_to_the_repair(swift: SwiftServer, bucket: str, project: Path) -> None:
    run = Shell(project, swift.environment())
    address = f"s3://{bucket}/ink"
    settings = yaml.safe_load((project / "recipe.yaml").read_text())
    (project / "recipe.yaml").write_text(
        yaml.safe_dump(settings | {"dataset": settings["dataset"] | {"out": address}})
    )
    run("source", "recipe.yaml")
    run("style", "xdog", "run/source/image.png", "--out", "drawing.png")
    run("teach", "recipe.yaml")

    assert "already there        nothing" in run("plan", "recipe.yaml")
    run("preview", "recipe.yaml", "--pairs", 2)
    store = open_store(address)
    assert store.keys("") == []  # both are dry runs

    run("generate", "recipe.yaml")
    assert "nothing is left" in run("plan", "recipe.yaml")
    assert "finished" in run("status", address)
    assert "is sound" in run("verify", address)
    made = {name: store.read(name) for name in store.keys("")}

    tar = layout.shard_key(1)
    store.delete(tar)
    store.create(tar, flipped(made[tar]))
    store.create("shards/00099.tar", b"nobody's")
    assert f"fault   {tar}" in run("verify", address, ends_in=2)
    assert "is sound" in run("repair", "recipe.yaml")
    assert "removed 1 file" in run("gc", address, "--min-age-h", 0, "--delete")
    assert {name: store.read(name) for name in store.keys("")} == made
    run("export", address, "--out", "loose", "--where", "cdst_step >= 1")
    assert len(list((project / "loose" / "sketches").iterdir())) == 3
