"""The operator's rules: each broken on purpose in a copy of a manifest that keeps them all."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from jobs.manifests.operator_rules import broken_rules
from jobs.manifests.rayjob import Limits, Machines, Submission, build_rayjob
from pipeline.recipe.workers import WorkerRange

SUBMISSION = Submission("onesketch-generate-ink", "image", "onesketch all", ["onesketch"], {})
JOB = build_rayjob(
    SUBMISSION,
    Machines(WorkerRange(1, 8), gpus=1, spot={"kind": "spot"}, on_demand=2),
    Limits(),
    "2.60.0",
)
Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def deletion(*rules: tuple[str, int]) -> dict[str, Any]:
    return {
        "deletionRules": [
            {"policy": policy, "condition": {"jobStatus": "SUCCEEDED", "ttlSeconds": ttl_s}}
            for policy, ttl_s in rules
        ]
    }


# What is changed in job, spec and cluster, and what the operator says of it.
BROKEN: dict[str, tuple[Change, str]] = {
    "long name": (lambda job, _, __: job["metadata"].update(name="a" * 48), "at most 47"),
    "large letters": (lambda job, _, __: job["metadata"].update(name="Ink"), "DNS label"),
    "ttl without end": (
        lambda _, spec, __: spec.update(shutdownAfterJobFinishes=False),
        "ttlSecondsAfterFinished: it needs",
    ),
    "suspend without end": (
        lambda _, spec, __: spec.update(
            suspend=True, shutdownAfterJobFinishes=False, ttlSecondsAfterFinished=0
        ),
        "suspend: it needs",
    ),
    "two ways to end": (
        lambda _, spec, __: spec.update(deletionStrategy=deletion(("DeleteCluster", 1))),
        "exclude shutdownAfterJobFinishes",
    ),
    "workers deleted while scaling": (
        lambda _, spec, __: spec.update(deletionStrategy=deletion(("DeleteWorkers", 1))),
        "DeleteWorkers is not for clusters that scale",
    ),
    "job deleted before its cluster": (
        lambda _, spec, __: spec.update(
            deletionStrategy=deletion(("DeleteSelf", 1), ("DeleteCluster", 2))
        ),
        "ttlSeconds must rise",
    ),
    "selector and retries": (
        lambda _, spec, __: spec.update(clusterSelector={"ray.io/cluster": "mine"}),
        "excludes backoffLimit",
    ),
    "selector and suspend": (
        lambda _, spec, __: spec.update(clusterSelector={"a": "b"}, suspend=True),
        "clusterSelector: it excludes suspend",
    ),
    "selector and sidecar": (
        lambda _, spec, __: spec.update(clusterSelector={"a": "b"}, submissionMode="SidecarMode"),
        "clusterSelector: it excludes SidecarMode",
    ),
    "interactive retries": (
        lambda _, spec, __: spec.update(submissionMode="InteractiveMode"),
        "InteractiveMode: it excludes backoffLimit",
    ),
    "sidecar with a submitter": (
        lambda _, spec, __: spec.update(submissionMode="SidecarMode"),
        "SidecarMode: it excludes submitterPodTemplate",
    ),
    "restarts under v2": (
        lambda _, __, cluster: cluster["workerGroupSpecs"][0]["template"]["spec"].update(
            restartPolicy="Always"
        ),
        "gpu-spot: with autoscaler v2 restartPolicy must be Never",
    ),
    "priority under v1": (
        lambda _, __, cluster: cluster["autoscalerOptions"].update(version="v1"),
        "priority needs autoscaler v2",
    ),
    "token of an old Ray": (
        lambda _, __, cluster: cluster.update(rayVersion="2.51.9"),
        "a token needs rayVersion 2.52",
    ),
    "Kubernetes' token": (
        lambda _, __, cluster: cluster["authOptions"].update(enableK8sTokenAuth=True),
        "enableK8sTokenAuth is not for a RayJob",
    ),
    "labels at the start": (
        lambda _, __, cluster: cluster["headGroupSpec"]["rayStartParams"].update(labels="a=b"),
        "head: labels belong to the group",
    ),
}


def test_ours_keeps_them() -> None:
    assert broken_rules(JOB) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_refused_by_name(name: str) -> None:
    change, words = BROKEN[name]
    job = deepcopy(JOB)
    change(job, job["spec"], job["spec"]["rayClusterSpec"])
    assert any(words in broken for broken in broken_rules(job)), broken_rules(job)
