"""What the cluster offers: where workers run and how many there are, wherever the driver is.

A driver in a cluster often has no GPU. What it asks for is decided by the resources that Ray
reports, by those that its autoscaler may add, and by each worker's own machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import state as ray_state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.runtime.devices import Asked, Machine, choose_dtype
from pipeline.generation.ray_actors import naming_this_node
from pipeline.recipe.workers import WorkerRange
from pipeline.storage.probe import check_reachable
from pipeline.storage.store import StorageError, Store

# How long nodes may take to answer; one that takes longer is found out when its worker starts.
_CHECK_S = 60.0


@dataclass(frozen=True)
class Share:
    """The workers of a command and what each of them gets.

    Attributes:
        workers: how many.
        gpus: of each, also a fraction; 0: they work on processors.
        device: for the worker's process; `auto` there means its GPU, where torch finds one.
    """

    workers: int
    gpus: float
    device: str


def in_cluster() -> bool:
    """Tell whether a cluster was named, instead of a Ray of the command's own."""
    return (os.environ.get("RAY_ADDRESS") or "local") != "local"


def share_cluster(asked: Asked, workers: WorkerRange, gpus_per_worker: float = 1.0) -> Share:
    """Choose workers by what the cluster has and may grow to; Ray must be initialised.

    Args:
        gpus_per_worker: also a fraction, where several fit one GPU.

    Raises:
        ValueError: the cluster has not what was asked for, and cannot grow to it.
    """
    now, largest = ray.cluster_resources(), _largest_resources()
    gpus = max(now.get("GPU", 0.0), largest.get("GPU", 0.0))
    if asked.device.startswith("cuda") and not gpus and workers.most is None:
        raise ValueError(
            f"--device {asked.device}: the cluster has no GPU ({_named(now)}): start nodes with "
            "GPUs, say --workers N to wait for such nodes, or use --device cpu"
        )
    on_gpu = asked.device.startswith("cuda") or (gpus > 0 and asked.device == "auto")
    each = {"GPU": gpus_per_worker, "CPU": 1.0} if on_gpu else {"CPU": 1.0}
    room = min(_count(now, each), sys.maxsize)
    could = max(room, _count(largest, each))
    # A number is taken at its word: nodes may come that nothing here knows of.
    if could < workers.least != workers.most:
        raise ValueError(
            f"--workers {workers}: the cluster has room for {could} ({_named(now)}): ask for "
            "fewer, add nodes, or say --workers N to wait for them"
        )
    chosen = workers.most or (could if could < sys.maxsize else max(room, 1))
    device = asked.device if asked.device != "auto" or on_gpu else "cpu"
    return Share(max(chosen, 1), gpus_per_worker if on_gpu else 0.0, device)


def check_store_of_nodes(store: Store, share: Share) -> None:
    """Let every node that may get a worker reach the store, before any of them works.

    Nodes with credentials would otherwise begin while one without them still loads. Where there is
    one node alone the driver has tried.

    Raises:
        StorageError: a node cannot; it is named.
    """
    needed = {"CPU": 1.0} | ({"GPU": share.gpus} if share.gpus else {})
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    able = [
        node["NodeID"]
        for node in nodes
        if all(node["Resources"].get(name, 0.0) >= amount for name, amount in needed.items())
    ]
    check: Any = ray.remote(_check_store)
    on = [NodeAffinitySchedulingStrategy(node, soft=False) for node in able]
    checks = [check.options(num_cpus=0, scheduling_strategy=place).remote(store) for place in on]
    done, _ = ray.wait(checks, num_returns=len(checks), timeout=_CHECK_S)
    for answer in done:
        try:
            ray.get(answer)
        except ray.exceptions.RayError as error:
            # A node that has gone meanwhile gets no worker either.
            if isinstance(cause := getattr(error, "cause", None), StorageError):
                raise cause from error


def _check_store(store: Store) -> None:
    with naming_this_node():
        check_reachable(store)


def machine_of_nodes(asked: Asked) -> Machine:
    """Describe what the cluster's nodes have, as if they were one machine; Ray must be initialised.

    Raises:
        ValueError: as `share_cluster`.
    """
    share, resources = share_cluster(asked, WorkerRange()), ray.cluster_resources()
    device = "cuda" if share.gpus and share.device == "auto" else share.device
    return Machine(
        device=device,
        dtype=choose_dtype(asked.dtype, device),
        num_cpus=int(resources.get("CPU", 1)),
        num_gpus=int(resources.get("GPU", 0)) if share.gpus else 0,
    )


def _count(resources: Mapping[str, float], each: Mapping[str, float]) -> int:
    """Count the workers that resources have room for."""
    counts = [resources.get(name, 0.0) / amount for name, amount in each.items()]
    return int(min(counts))


def _largest_resources() -> Mapping[str, float]:
    """Return what the autoscaler may grow the cluster to; empty where there is none."""
    return ray_state.get_max_resources_from_cluster_config() or {}


def _named(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0.0):g} CPUs, {resources.get('GPU', 0.0):g} GPUs"
