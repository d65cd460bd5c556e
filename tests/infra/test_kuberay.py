"""infra/kuberay: valid to the letter, equal to what the command renders, and closed."""

from __future__ import annotations

import shutil
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.manifests.operator_rules import broken_rules
from tests.infra.kubernetes import KUBERAY, core_errors, pod_templates, rendered, schema_errors

IMAGE = "registry.example/onesketch@sha256:" + "0" * 64
ON_GPU = "--gpus-per-worker 1 --device cuda --grace 60"
# What makes the same documents as each overlay; its head shows it to people, too.
OVERLAYS = {
    "smoke": "generate --workers 1..2 --name onesketch-smoke --retries 0 --deadline 1",
    "generate": f"generate --workers 1..34 {ON_GPU} --spot",
    "distill": "distill --device cuda",
    "kueue": f"generate --workers 4 {ON_GPU} --queue onesketch",
}


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> tuple[str, list[dict[str, Any]]]:
    return request.param, rendered(f"overlays/{request.param}")


def job_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (job,) = (document for document in documents if document["kind"] == "RayJob")
    return job


def test_all_overlays_are_tested() -> None:
    assert {path.name for path in (KUBERAY / "overlays").iterdir()} == OVERLAYS.keys()


def test_an_overlay_is_what_the_command_renders(overlay: tuple[str, Any]) -> None:
    name, documents = overlay
    command, *options = OVERLAYS[name].split()
    recipe = str(KUBERAY / "overlays" / name / "ink.yaml")
    arguments = ["manifest", "kuberay", command, recipe, "--run", "s3://BUCKET/ink", *options]
    done = CliRunner().invoke(app, [*arguments, "--image", IMAGE])
    assert done.exit_code == 0, done.output
    by_kind = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert {document["kind"]: document for document in documents} == by_kind
    head = (KUBERAY / "overlays" / name / "job.yaml").read_text().split("apiVersion")[0]
    words = head.replace("#", "").replace("\\\n", " ").split()
    assert [word for word in options if word not in words] == []


def test_an_overlay_fits_schema_and_operator(overlay: tuple[str, Any]) -> None:
    _, documents = overlay
    assert sorted(document["kind"] for document in documents) == ["ConfigMap", "RayJob"]
    job = job_of(documents)
    assert broken_rules(job) == []
    assert schema_errors(job) == []
    (files,) = (document for document in documents if document["kind"] == "ConfigMap")
    assert core_errors(files) == []


def test_pods_fit_kubernetes_and_are_closed(overlay: tuple[str, Any]) -> None:
    _, documents = overlay
    templates = pod_templates(job_of(documents))
    assert len(templates) >= 3
    for part, template in templates.items():
        pod = {"apiVersion": "v1", "kind": "Pod", **deepcopy(template)}
        pod["metadata"]["name"] = part
        assert core_errors(pod) == [], part
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], part
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, part
        assert (part == "head") != (spec.get("automountServiceAccountToken") is False), part
        for container in spec["containers"]:
            closed = container["securityContext"]
            assert closed["readOnlyRootFilesystem"] and closed["capabilities"] == {"drop": ["ALL"]}
            assert not closed["allowPrivilegeEscalation"]
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "@sha256:" in container["image"]
        if part != "submitter":
            assert spec["terminationGracePeriodSeconds"] >= 120
            env = {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}
            drain_s = int(env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
            assert 60 < drain_s < spec["terminationGracePeriodSeconds"]


def misspell(job: dict[str, Any], *path: str | int) -> None:
    """Lose the last letter of a key."""
    *above, key = path
    place: Any = job
    for step in above:
        place = place[step]
    place[str(key)[:-1]] = place.pop(key)


HEAD = ("spec", "rayClusterSpec", "headGroupSpec")
TYPOS: list[tuple[str | int, ...]] = [
    ("spec", "backoffLimit"),
    ("spec", "submitterConfig", "backoffLimit"),
    ("spec", "rayClusterSpec", "autoscalerOptions", "idleTimeoutSeconds"),
    ("spec", "rayClusterSpec", "authOptions", "secretName"),
    (*HEAD, "template", "spec", "terminationGracePeriodSeconds"),
    (*HEAD, "template", "spec", "securityContext", "runAsNonRoot"),
    (*HEAD, "template", "spec", "containers", 0, "livenessProbe", "failureThreshold"),
    ("spec", "rayClusterSpec", "workerGroupSpecs", 0, "maxReplicas"),
    ("spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "nodeSelector"),
    ("spec", "submitterPodTemplate", "spec", "containers", 0, "workingDir"),
]


@pytest.mark.parametrize("path", TYPOS, ids=lambda path: str(path[-1]))
def test_a_misspelt_key_is_refused_by_name(path: tuple[str | int, ...]) -> None:
    job = job_of(rendered("overlays/generate"))
    assert schema_errors(job) == []
    misspell(job, *path)
    assert any(f"'{str(path[-1])[:-1]}'" in error for error in schema_errors(job))


def test_what_is_shared_fits_kubernetes() -> None:
    documents = rendered("shared")
    # Of Prometheus' operator there is no schema to hold it against.
    own = [document for document in documents if document["kind"] != "PodMonitor"]
    assert (len(documents), len(own)) == (11, 10)
    assert [core_errors(document) for document in own] == [[]] * 10
    misspelt = deepcopy(own[-1])
    misspell(misspelt, "spec", *[key for key in misspelt["spec"] if key != "selector"][:1])
    assert core_errors(misspelt), "else this shows nothing"


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policies = {
        document["metadata"]["name"]: document["spec"]
        for document in rendered("shared")
        if document["kind"] == "NetworkPolicy"
    }
    closed = policies["onesketch-closed"]
    assert sorted(closed["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in closed and "egress" not in closed
    pods = [pod_templates(job_of(rendered(f"overlays/{name}"))) for name in OVERLAYS]
    for template in chain.from_iterable(templates.values() for templates in pods):
        labels = template["metadata"]["labels"]
        assert closed["podSelector"]["matchLabels"].items() <= labels.items()
    inward = policies["onesketch-ray-nodes"]["ingress"]
    ports = [[port["port"] for port in rule.get("ports", [])] for rule in inward]
    assert ports == [[], [8265], [8080, 44217, 44227]]
    assert inward[0]["from"] == [{"podSelector": policies["onesketch-ray-nodes"]["podSelector"]}], (
        "all ports are for Ray's own nodes alone"
    )


def test_accounts_and_secrets_are_those_that_are_shared() -> None:
    documents = rendered("shared")
    accounts = {d["metadata"]["name"] for d in documents if d["kind"] == "ServiceAccount"}
    used = {
        template["spec"]["serviceAccountName"]
        for name in OVERLAYS
        for template in pod_templates(job_of(rendered(f"overlays/{name}"))).values()
    }
    assert used == accounts
    assert not [d for d in documents if d["kind"] == "Secret"], "secrets are made by people"


def test_one_line_sets_the_image_of_all_pods(tmp_path: Path) -> None:
    shutil.copytree(KUBERAY, tmp_path / "kuberay")
    image = {"name": IMAGE.split("@")[0], "newName": "mine", "digest": "sha256:" + "1" * 64}
    own = {"resources": ["kuberay/overlays/generate"], "images": [image]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    templates = pod_templates(job_of(rendered(str(tmp_path))))
    images = {template["spec"]["containers"][0]["image"] for template in templates.values()}
    assert images == {f"mine@sha256:{'1' * 64}"} and len(templates) == 4


def test_no_file_lies_about_unused() -> None:
    named = {"kustomization.yaml", "job.yaml", "ink.yaml", "rayjob.yaml"}
    named |= set(
        yaml.safe_load((KUBERAY / "shared" / "kustomization.yaml").read_text())["resources"]
    )
    found = {path.name for path in Path(KUBERAY).rglob("*") if path.is_file()}
    assert found - {"README.md"} == named
