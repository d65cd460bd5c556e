"""What KubeRay's operator refuses in a RayJob though its schema allows it (v1.7.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_MOST_NAME_CHARS = 47
_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_FIRST_WITH_TOKEN = (2, 52)


def broken_rules(job: Mapping[str, Any]) -> list[str]:
    """List what the operator would refuse a RayJob for; nothing if it would take it."""
    spec = job["spec"]
    cluster = spec.get("rayClusterSpec", {})
    return [
        *_of_name(job["metadata"]["name"]),
        *_of_end(spec, cluster),
        *_of_mode(spec),
        *_of_scaling(cluster),
        *_of_token(cluster),
        *_of_start(cluster),
    ]


def _of_name(name: str) -> Iterator[str]:
    if len(name) > _MOST_NAME_CHARS:
        yield f"name: {name} has {len(name)} characters; at most {_MOST_NAME_CHARS} are allowed"
    if not _DNS_LABEL.fullmatch(name):
        yield f"name: {name} is not a DNS label: small letters, digits and hyphens, a letter first"


def _of_end(spec: Mapping[str, Any], cluster: Mapping[str, Any]) -> Iterator[str]:
    ends = spec.get("shutdownAfterJobFinishes", False)
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not ends:
        yield "ttlSecondsAfterFinished: it needs shutdownAfterJobFinishes"
    if spec.get("suspend") and not ends:
        yield "suspend: it needs shutdownAfterJobFinishes"
    rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
    if rules and ends:
        yield "deletionRules: they exclude shutdownAfterJobFinishes"
    after_s = {
        rule["policy"]: rule.get("condition", {}).get("ttlSeconds", 0)
        for rule in rules
        if rule["policy"] != "DeleteNone"
    }
    if "DeleteWorkers" in after_s and cluster.get("enableInTreeAutoscaling"):
        yield "deletionRules: DeleteWorkers is not for clusters that scale"
    order = [name for name in ("DeleteWorkers", "DeleteCluster", "DeleteSelf") if name in after_s]
    if any(after_s[a] > after_s[b] for a, b in zip(order, order[1:], strict=False)):
        yield "deletionRules: ttlSeconds must rise from workers to cluster to job"


def _of_mode(spec: Mapping[str, Any]) -> Iterator[str]:
    mode = spec.get("submissionMode", "K8sJobMode")
    if spec.get("clusterSelector"):
        if spec.get("suspend"):
            yield "clusterSelector: it excludes suspend"
        if spec.get("backoffLimit", 0):
            yield "clusterSelector: it excludes backoffLimit"
        if mode == "SidecarMode":
            yield "clusterSelector: it excludes SidecarMode"
    if mode == "InteractiveMode" and spec.get("backoffLimit", 0):
        yield "InteractiveMode: it excludes backoffLimit"
    if mode == "SidecarMode" and (spec.get("submitterPodTemplate") or spec.get("submitterConfig")):
        yield "SidecarMode: it excludes submitterPodTemplate and submitterConfig"


def _of_scaling(cluster: Mapping[str, Any]) -> Iterator[str]:
    is_v2 = cluster.get("autoscalerOptions", {}).get("version") == "v2"
    for name, group in _groups(cluster):
        policy = group.get("template", {}).get("spec", {}).get("restartPolicy", "Never")
        if is_v2 and policy != "Never":
            yield f"{name}: with autoscaler v2 restartPolicy must be Never, not {policy}"
        for key in ("priority", "idleTimeoutSeconds"):
            if key in group and not is_v2:
                yield f"{name}: {key} needs autoscaler v2"


def _of_token(cluster: Mapping[str, Any]) -> Iterator[str]:
    options = cluster.get("authOptions", {})
    if options.get("enableK8sTokenAuth"):
        yield "authOptions: enableK8sTokenAuth is not for a RayJob"
    if options.get("mode") == "token":
        version = tuple(int(part) for part in cluster.get("rayVersion", "0.0").split(".")[:2])
        if version < _FIRST_WITH_TOKEN:
            yield "authOptions: a token needs rayVersion 2.52 or newer"


def _of_start(cluster: Mapping[str, Any]) -> Iterator[str]:
    for name, group in _groups(cluster):
        if "labels" in group.get("rayStartParams", {}):
            yield f"{name}: labels belong to the group, not into rayStartParams"


def _groups(cluster: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "head", cluster.get("headGroupSpec", {})
    for group in cluster.get("workerGroupSpecs", []):
        yield group["groupName"], group
