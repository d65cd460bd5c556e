"""`onesketch manifest`: what was asked for stands in it, and mistakes are said before."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.manifests.kuberay import ClusterWish, ManifestError, build_manifest
from jobs.submission.request import Asked

IMAGE = "registry.example/onesketch@sha256:" + "a" * 64
RECIPE: dict[str, Any] = {
    "style": "ink",
    "example": {"prompt": "a cat", "seed": 1, "drawing": "drawings/cat.png"},
    "distill": {"workers": "2..8"},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "drawings").mkdir()
    (tmp_path / "drawings" / "cat.png").write_bytes(b"\x89PNG\xff")
    (tmp_path / "ink.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return tmp_path / "ink.yaml"


def asked(recipe: Path, command: str = "generate", **changes: Any) -> Asked:
    workers = {"workers": "1..4"} if command in ("generate", "all") else {}
    return Asked(command, str(recipe), run="s3://bucket/ink", **{**workers, **changes})


def test_the_submitter_finds_the_recipe_where_its_command_looks(recipe: Path) -> None:
    files, job = build_manifest(asked(recipe, "teach", variables=("A=b",)), ClusterWish(IMAGE))
    assert files["data"]["ink.yaml"] == recipe.read_text()
    assert base64.b64decode(files["binaryData"]["drawings..cat.png"]) == b"\x89PNG\xff"
    pod = job["spec"]["submitterPodTemplate"]["spec"]
    (volume,) = (v["configMap"] for v in pod["volumes"] if "configMap" in v)
    assert volume["name"] == files["metadata"]["name"]
    assert {item["key"]: item["path"] for item in volume["items"]} == {
        "ink.yaml": "ink.yaml",
        "drawings..cat.png": "drawings/cat.png",
    }
    (container,) = pod["containers"]
    assert container["command"] == (
        "onesketch submit teach ink.yaml --run s3://bucket/ink --env A=b --in-cluster".split()
    )
    assert job["spec"]["entrypoint"] == "onesketch teach ink.yaml --run s3://bucket/ink"


@pytest.mark.parametrize(
    ("command", "limits"),
    [("source", (1, 1)), ("generate", (1, 4)), ("distill", (2, 8)), ("all", (1, 4))],
)
def test_nodes_come_for_what_the_command_can_use(
    recipe: Path, command: str, limits: tuple[int, int]
) -> None:
    _, job = build_manifest(asked(recipe, command), ClusterWish(IMAGE))
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == limits
    assert "nvidia.com/gpu" not in group["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_spot_comes_first_and_on_demand_is_part_of_all(recipe: Path) -> None:
    wish = ClusterWish(IMAGE, spot=True, spot_label="cloud.google.com/gke-spot=true", on_demand=1)
    _, job = build_manifest(asked(recipe, gpus_per_worker=0.5, device="cuda"), wish)
    spot, other = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (spot["maxReplicas"], other["maxReplicas"]) == (3, 1)
    assert spot["priority"] > other["priority"]
    pod = spot["template"]["spec"]
    assert pod["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nodeSelector" not in other["template"]["spec"]


def test_a_queue_admits_all_nodes_at_once(recipe: Path) -> None:
    _, job = build_manifest(asked(recipe), ClusterWish(IMAGE, queue="team"))
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert job["spec"]["suspend"] and job["spec"]["shutdownAfterJobFinishes"]
    cluster = job["spec"]["rayClusterSpec"]
    assert "enableInTreeAutoscaling" not in cluster
    assert cluster["workerGroupSpecs"][0]["replicas"] == 4


@pytest.mark.parametrize(
    ("changes", "wish", "words"),
    [
        ({}, {"image": "onesketch:latest"}, "expected NAME@sha256: and 64"),
        ({}, {"name": "Ink_1"}, "DNS label.*--name"),
        ({"shared_folder": True}, {}, "pods share no folder"),
        ({}, {"spot": True, "on_demand": 4}, "none of 4 workers is left"),
        ({}, {"spot": True, "spot_label": "spot"}, "expected KEY=VALUE"),
        ({}, {"spot": True, "queue": "team"}, "leave one out"),
        ({"workers": ""}, {}, r"give MIN\.\.MAX"),
        ({"gpus_per_worker": 1.5}, {}, "expected whole GPUs"),
        ({"variables": ("AWS_SECRET_ACCESS_KEY=x",)}, {}, "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_mistakes(recipe: Path, changes: dict[str, Any], wish: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_manifest(asked(recipe, **changes), replace(ClusterWish(IMAGE), **wish))


def test_a_drawing_too_large_for_a_config_map(recipe: Path) -> None:
    (recipe.parent / "drawings" / "cat.png").write_bytes(bytes(720 * 2**10))
    with pytest.raises(ManifestError, match=r"put drawings/cat\.png at an s3:// address"):
        build_manifest(asked(recipe), ClusterWish(IMAGE))


def test_the_command_prints_documents_and_nothing_else(recipe: Path) -> None:
    arguments = ["manifest", "kuberay", "generate", str(recipe), "--run", "s3://bucket/ink"]
    done = CliRunner().invoke(app, [*arguments, "--workers", "1..4", "--image", IMAGE])
    assert done.exit_code == 0, done.output
    assert "  ink.yaml: |\n    style: ink\n" in done.stdout, "a person reads it"
    assert list(yaml.safe_load_all(done.stdout)) == build_manifest(
        asked(recipe), ClusterWish(IMAGE)
    )
