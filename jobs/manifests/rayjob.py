"""A submission as KubeRay's RayJob: a cluster that is made for one job and taken down after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.manifests.pods import SHARED_LABEL, head_pod, scaler, size, submitter_pod, worker_pod
from pipeline.recipe.workers import WorkerRange

TOKEN_SECRET = "onesketch-token"
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_KEPT_S = 600
_SECONDS_PER_HOUR = 3600
# How long nodes may take to come; Kueue's jobs wait in their queue instead.
_START_S = 3600
_SUBMITTER_TRIES = 3


@dataclass(frozen=True)
class Machines:
    """The nodes of a job's cluster.

    Attributes:
        workers: how many; `most` must be known.
        gpus: of each.
        cpus, memory: of each, as Kubernetes writes them.
        spot: the label of nodes that may be taken away; empty: none are used.
        on_demand: how many of the workers may run on other nodes where there is no spot.
        queue: of Kueue, which admits the whole cluster at once; "": none.
    """

    workers: WorkerRange
    gpus: int = 0
    cpus: str = "4"
    memory: str = "8Gi"
    spot: Mapping[str, str] | None = None
    on_demand: int = 0
    queue: str = ""

    @property
    def most(self) -> int:
        """The largest number of workers."""
        assert self.workers.most is not None
        return self.workers.most


@dataclass(frozen=True)
class Limits:
    """When a job is given up: after so many new clusters, and after so many hours in all."""

    retries: int = 3
    deadline_h: float = 24.0


@dataclass(frozen=True)
class Submission:
    """What the submitter's pod is told.

    Attributes:
        name: of the RayJob.
        image: by digest.
        entrypoint: the job's command line, shown by kubectl.
        command: the submitter's.
        files: the ConfigMap with the recipe's files, as a volume has it.
    """

    name: str
    image: str
    entrypoint: str
    command: Sequence[str]
    files: Mapping[str, Any]


def build_rayjob(
    submission: Submission, machines: Machines, limits: Limits, ray_version: str
) -> dict[str, Any]:
    """Return the RayJob (ray.io/v1) of a submission.

    Its submitter is our own command, which ends only when the job does: KubeRay's ends with the
    connection to the log, and takes a healthy job with it (kuberay#4921).
    """
    labels = {SHARED_LABEL: "onesketch"}
    if machines.queue:
        labels[_QUEUE_LABEL] = machines.queue
    cluster: dict[str, Any] = {
        "rayVersion": ray_version,
        "authOptions": {"mode": "token", "secretName": TOKEN_SECRET},
    }
    if not machines.queue:
        cluster |= {"enableInTreeAutoscaling": True, "autoscalerOptions": scaler()}
    cluster["headGroupSpec"] = {
        "rayStartParams": {"num-cpus": "0"},
        "template": head_pod(submission.image),
    }
    cluster["workerGroupSpecs"] = _groups(submission.image, machines)
    spec: dict[str, Any] = {
        "submissionMode": "K8sJobMode",
        "entrypoint": submission.entrypoint,
        "backoffLimit": limits.retries,
        "activeDeadlineSeconds": round(limits.deadline_h * _SECONDS_PER_HOUR),
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": _KEPT_S,
        "submitterConfig": {"backoffLimit": _SUBMITTER_TRIES},
        "submitterPodTemplate": submitter_pod(
            submission.image, submission.command, submission.files
        ),
        "rayClusterSpec": cluster,
    }
    if machines.queue:
        spec["suspend"] = True
    else:
        spec["preRunningDeadlineSeconds"] = min(_START_S, spec["activeDeadlineSeconds"] // 2)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": submission.name, "labels": labels},
        "spec": spec,
    }


def _groups(image: str, machines: Machines) -> list[dict[str, Any]]:
    resources = size(machines.cpus, machines.memory, machines.gpus)
    kind = "gpu" if machines.gpus else "cpu"
    least, most = machines.workers.least, machines.most
    if machines.queue:
        return [_group(kind, (most, most), worker_pod(image, resources))]
    if not machines.spot:
        return [_group(kind, (least, most), worker_pod(image, resources))]
    spot = _group(
        f"{kind}-spot",
        (0, most - machines.on_demand),
        worker_pod(image, resources, machines.spot),
    )
    groups = [{**spot, "priority": 10, "labels": {"ray.io/market-type": "spot"}}]
    if machines.on_demand:
        other = _group(f"{kind}-on-demand", (0, machines.on_demand), worker_pod(image, resources))
        groups.append({**other, "priority": 0, "labels": {"ray.io/market-type": "on-demand"}})
    return groups


def _group(name: str, limits: tuple[int, int], template: dict[str, Any]) -> dict[str, Any]:
    return {
        "groupName": name,
        "replicas": limits[0],
        "minReplicas": limits[0],
        "maxReplicas": limits[1],
        "rayStartParams": {},
        "template": template,
    }
