"""Stages whose models are on a cluster's nodes: what they leave, and whose mistakes they tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from jobs.nodes.cluster import Share
from jobs.nodes.node_task import run_where_models_are
from jobs.runtime.session import Session, open_session
from training.checkpoint import OtherRunError

pytestmark = pytest.mark.ray


def onesketch(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture
def cluster(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)


def artefacts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_a_teacher_taught_on_a_node_is_the_one_taught_here(
    project: Path, one_thread: None, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {}
    for run in ("here", "on a node"):
        if run != "here":
            monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
        onesketch("source", "recipe.yaml", "--run", run)
        onesketch("style", "xdog", f"{run}/source/image.png", "--out", "drawing.png")
        taught = onesketch("teach", "recipe.yaml", "--run", run)
        runs[run] = artefacts(project / run / "source") | artefacts(project / run / "teacher")
    assert "teach.samplers" in taught.stderr and "teach.iteration" in taught.stderr
    # What is finished is only checked: nobody makes samples for it.
    again = onesketch("teach", "recipe.yaml", "--run", "on a node")
    assert "teach.ready" in again.stderr and "teach.samplers" not in again.stderr
    assert runs["here"].keys() == runs["on a node"].keys()
    assert [name for name in runs["here"] if runs["here"][name] != runs["on a node"][name]] == []


def test_mistakes_that_a_node_finds_are_the_commands_own(project: Path, cluster: None) -> None:
    with (
        open_session("recipe.yaml", device="cpu") as session,
        pytest.raises(OtherRunError, match="the folder"),
    ):
        run_where_models_are(find_a_mistake, session)


def find_a_mistake(session: Session, share: Share | None) -> None:
    assert share is not None and share.workers == 4
    assert session.folder.root.is_dir() and session.folder.root.is_absolute()
    raise OtherRunError("the folder holds another training")


def test_without_a_cluster_the_work_is_done_here(project: Path) -> None:
    found: list[object] = []
    with open_session("recipe.yaml", device="cpu") as session:
        run_where_models_are(lambda *given: found.extend(given), session)
        assert found == [session, None]
