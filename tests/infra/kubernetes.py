"""Manifests as Kubernetes and KubeRay's operator would see them, without either."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERAY = ROOT / "infra" / "kuberay"
CORE_VERSION = "1.36"
_SCHEMAS = Path(os.environ.get("ONESKETCH_KUBERAY", ROOT.parent / "shared" / "kuberay"))
_KUBECTL = Path(sys.executable).with_name("kubectl")


def rendered(folder: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(
        [_KUBECTL, "kustomize", KUBERAY / folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def schema_errors(job: dict[str, Any]) -> list[str]:
    """What KubeRay's schema says, with keys refused that it does not know."""
    found = jsonschema.Draft202012Validator(_rayjob_schema()).iter_errors(job)
    return [f"{error.json_path}: {error.message}" for error in found]


def core_errors(document: dict[str, Any]) -> list[str]:
    """What Kubernetes' own schemas say of a document of theirs."""
    try:
        kubernetes_validate.validate(document, CORE_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error.message)]
    return []


def pod_templates(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pods of a job, by their part in it."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    head, submitter = cluster["headGroupSpec"]["template"], job["spec"]["submitterPodTemplate"]
    return {"head": head, "submitter": submitter, **groups}


@cache
def _rayjob_schema() -> Any:
    path = _SCHEMAS / "ray.io_rayjobs.yaml.gz"
    if not path.is_file():
        pytest.skip(f"KubeRay's schemas are not there: {path} (set ONESKETCH_KUBERAY)")
    with gzip.open(path) as file:
        definition = yaml.load(file, yaml.CSafeLoader)
    return _closed(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    is_open = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(schema.get("properties"), dict) and "type" in schema and not is_open:
        closed["additionalProperties"] = False
    return closed
