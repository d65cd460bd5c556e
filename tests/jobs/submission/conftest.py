"""A cluster for submissions, a project to submit, and what a person would see."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.submission.cluster import Cluster
from jobs.submission.request import Asked
from jobs.submission.submit import Conditions, run_submit
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.recipe.recipe import load_recipe
from pipeline.storage.address import open_store
from tests.servers.ray_head import RayHead
from tests.standins import quick_stage

# Values that must not come to light anywhere: the head's environment holds them.
CANARIES = {
    "AWS_ACCESS_KEY_ID": "canary-of-the-access-key",
    "AWS_SECRET_ACCESS_KEY": "canary-of-the-secret-key",
    "SERVICE_TOKEN": "canary-of-the-token",
}


def start_head(env: dict[str, str] | None = None, agent_port: int = 0) -> RayHead:
    """Start a head in a short folder, whose jobs find the quick stage as `onesketch`."""
    folder = Path(tempfile.mkdtemp(prefix="rh-", dir="/tmp"))
    programs = folder / "bin"
    programs.mkdir()
    quick_stage.install(programs)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    head = RayHead(folder, env={"PATH": path, **CANARIES, **(env or {})})
    head.start(agent_port)
    return head


@pytest.fixture(scope="session")
def head() -> Iterator[RayHead]:
    """One head for all tests that leave it whole."""
    head = start_head()
    yield head
    head.stop()
    shutil.rmtree(head.folder, ignore_errors=True)


@pytest.fixture
def cluster(head: RayHead, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A client of it, from an environment that leads elsewhere."""
    monkeypatch.setenv("RAY_ADDRESS", "nowhere.invalid:6379")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://nowhere.invalid:8265")
    return Cluster(head.address)


@dataclass
class Project:
    """A recipe with what belongs to it, and how it is submitted.

    Attributes:
        folder: of the recipe; `run`: of the artefacts, which all nodes see.
    """

    folder: Path
    run: Path
    address: str
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return self.folder / "recipe.yaml"

    def asked(self, *variables: str, command: str = "generate", **more: Any) -> Asked:
        """What a person asks for, with variables for the quick stage."""
        options: dict[str, Any] = {"run": str(self.run), "shared_folder": True, **more}
        return Asked(command, str(self.recipe), variables=variables, **options)

    def submit(self, *variables: str, **conditions: Any) -> int:
        """Submit `generate`, follow it, and keep what was shown in `out` and `err`."""
        given: dict[str, Any] = {"address": self.address, "yes": True, **conditions}
        asked = given.pop("asked", None) or self.asked(*variables)
        code = run_submit(asked, Conditions(**given))
        self.out, self.err = self.capsys.readouterr()
        return code

    def command(self, *variables: str) -> list[str]:
        """The same as a command line, after the program's name."""
        options = ["--address", self.address, "--run", str(self.run), "--shared-folder", "--yes"]
        given = [part for variable in variables for part in ("--env", variable)]
        return ["submit", "generate", str(self.recipe), *options, *given]

    def write_plan(self) -> None:
        """Begin the dataset, as `generate` does."""
        plan = plan_from_recipe(load_recipe(self.recipe), {}, {})
        write_or_check(open_store(str(self.run / "dataset")), plan)

    @property
    def turns(self) -> int:
        """How often the quick stage has run."""
        return len((self.run / "turns").read_text())


@pytest.fixture
def settings() -> dict[str, Any]:
    """A small recipe's data."""
    return {
        "style": "ink",
        "example": {"prompt": "a red cat", "seed": 3, "drawing": "drawing.png"},
        "teach": {"prompts": "prompts.txt"},
        "dataset": {"samples": 40, "shard_size": 4},
    }


@pytest.fixture
def project(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> Project:
    """A project without a cluster."""
    folder = tmp_path / "style"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    (folder / "drawing.png").write_bytes(b"a drawing")
    (folder / "prompts.txt").write_text("a red cat\na blue dog\n")
    (folder / "diary.txt").write_text("not for others")
    return Project(folder, tmp_path / "run", "http://127.0.0.1:1", capsys)


@pytest.fixture
def submitted(project: Project, head: RayHead) -> Project:
    """A project that is submitted to the head."""
    project.address = head.address
    return project
