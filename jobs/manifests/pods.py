"""Parts of the pods of a Ray cluster on Kubernetes: as closed as Pod Security's `restricted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Their names in the namespace (infra/kuberay/shared): the store's keys, where pods have no role.
STORE_SECRET = "onesketch-store"
SHARED_LABEL = "app.kubernetes.io/part-of"
GRACE_S = 120
# Ray drains a node for this long after SIGTERM; the rest of the grace is for its end.
_DRAIN_S = 90
_HEAD_PORTS = {
    "gcs-server": 6379,
    "dashboard": 8265,
    "metrics": 8080,
    "as-metrics": 44217,
    "dash-metrics": 44227,
}
_CLOSED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_USER = 1000
_HOME = "/home/onesketch"


def size(cpus: str, memory: str, gpus: int = 0) -> dict[str, Any]:
    """Return what a container asks for; processors are not limited, they are shared."""
    devices = {"nvidia.com/gpu": gpus} if gpus else {}
    return {
        "requests": {"cpu": cpus, "memory": memory, **devices},
        "limits": {"memory": memory, **devices},
    }


def head_pod(image: str) -> dict[str, Any]:
    """Return the template of the head, which does no work but the driver's."""
    container = _container("ray-head", image, size("2", "8Gi"))
    container["ports"] = [
        {"name": name, "containerPort": port} for name, port in _HEAD_PORTS.items()
    ]
    ready = {"path": "/api/gcs_healthz", "port": 8265}
    container["startupProbe"] = _probe(ready, period_s=5, failures=60)
    container["readinessProbe"] = _probe(ready, period_s=10, failures=6)
    container["livenessProbe"] = _alive()
    return _template("head", "onesketch-head", container, scratch_gib=20)


def worker_pod(
    image: str, resources: Mapping[str, Any], spot: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the template of a worker.

    Args:
        spot: the label of nodes that may be taken away, on which alone it runs.
    """
    container = _container("ray-worker", image, resources)
    container["ports"] = [{"name": "metrics", "containerPort": _HEAD_PORTS["metrics"]}]
    container["livenessProbe"] = _alive()
    container["readinessProbe"] = _alive()
    has_gpu = "nvidia.com/gpu" in resources["requests"]
    pod = _template("worker", "onesketch-worker", container, scratch_gib=100 if has_gpu else 20)
    # Only the head has to do with Kubernetes.
    pod["spec"]["automountServiceAccountToken"] = False
    tolerations: list[dict[str, str]] = []
    if has_gpu:
        tolerations.append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
    if spot:
        pod["spec"]["nodeSelector"] = dict(spot)
        tolerations += [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            for key, value in spot.items()
        ]
    if tolerations:
        pod["spec"]["tolerations"] = tolerations
    return pod


def submitter_pod(image: str, command: Sequence[str], files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template of the pod that submits the job and follows it to its end.

    Args:
        files: the ConfigMap with the recipe's files, as a volume has it.
    """
    container = _container("submitter", image, size("500m", "2Gi"))
    del container["env"]
    container["command"] = list(command)
    container["workingDir"] = "/recipe"
    container["volumeMounts"].append({"name": "recipe", "mountPath": "/recipe", "readOnly": True})
    pod = _template("submitter", "onesketch-submitter", container, scratch_gib=1)
    del pod["spec"]["terminationGracePeriodSeconds"]
    pod["spec"]["automountServiceAccountToken"] = False
    pod["spec"]["volumes"].append({"name": "recipe", "configMap": dict(files)})
    return pod


def scaler() -> dict[str, Any]:
    """Return the options of the autoscaler, a container beside the head."""
    return {
        "version": "v2",
        "idleTimeoutSeconds": 300,
        "resources": {
            "requests": {"cpu": "200m", "memory": "512Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": dict(_CLOSED),
    }


def _container(name: str, image: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "envFrom": [{"secretRef": {"name": STORE_SECRET, "optional": True}}],
        "env": [{"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": str(_DRAIN_S)}],
        "resources": dict(resources),
        "securityContext": dict(_CLOSED),
        # The image itself cannot be written.
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "home", "mountPath": _HOME},
        ],
    }


def _template(
    component: str, account: str, container: dict[str, Any], scratch_gib: int
) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {SHARED_LABEL: "onesketch", "app.kubernetes.io/component": component}
        },
        "spec": {
            # The autoscaler asks for it: it replaces pods, Kubernetes does not restart them.
            "restartPolicy": "Never",
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": f"{scratch_gib}Gi"}},
                {"name": "home", "emptyDir": {"sizeLimit": "20Gi"}},
            ],
        },
    }


def _alive() -> dict[str, Any]:
    return _probe({"path": "/api/local_raylet_healthz", "port": 52365}, period_s=10, failures=12)


def _probe(get: Mapping[str, Any], period_s: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": dict(get),
        "timeoutSeconds": 5,
        "periodSeconds": period_s,
        "failureThreshold": failures,
    }
