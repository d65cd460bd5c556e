"""Workers and devices by what the cluster has, not by what the driver's machine has."""

from __future__ import annotations

from typing import Any

import pytest
import ray
import torch

from jobs.nodes.cluster import Share, in_cluster, machine_of_nodes, share_cluster
from jobs.runtime.devices import Asked
from pipeline.recipe.workers import worker_range

pytestmark = pytest.mark.ray

GPU_NODES = {"CPU": 16.0, "GPU": 4.0}
NO_GPU = {"CPU": 4.0}


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set what Ray reports of a cluster, and what its autoscaler may add."""

    def report(now: dict[str, float], largest: dict[str, float] | None = None) -> None:
        monkeypatch.setattr("ray.cluster_resources", lambda: now)
        monkeypatch.setattr(
            "jobs.nodes.cluster.ray_state.get_max_resources_from_cluster_config", lambda: largest
        )

    return report


def share(workers: str = "auto", gpus: float = 1.0, device: str = "auto") -> Share:
    return share_cluster(Asked(device), worker_range(workers), gpus)


def test_a_real_cluster_without_gpus_gives_its_cores(local_ray: None) -> None:
    cores = int(ray.cluster_resources()["CPU"])
    assert share() == Share(cores, 0.0, "cpu")
    machine = machine_of_nodes(Asked())
    assert (machine.device, machine.dtype) == ("cpu", torch.float32)
    assert (machine.num_cpus, machine.num_gpus) == (cores, 0)


def test_workers_go_to_gpus_where_there_are_any(resources: Any) -> None:
    resources(GPU_NODES)
    assert share() == Share(4, 1.0, "auto")
    assert share(gpus=0.25) == Share(16, 0.25, "auto")
    assert share(device="cpu") == Share(16, 0.0, "cpu")
    machine = machine_of_nodes(Asked())
    assert (machine.device, machine.dtype, machine.num_gpus) == ("cuda", torch.float16, 4)


def test_the_autoscaler_s_largest_cluster_counts(resources: Any) -> None:
    resources({"CPU": 2.0}, {"CPU": 802.0, "GPU": 100.0})
    assert share() == Share(100, 1.0, "auto")
    assert share("2..8") == Share(8, 1.0, "auto")
    resources(GPU_NODES, {"CPU": 8.0})
    assert share() == Share(4, 1.0, "auto")


@pytest.mark.parametrize(("asked", "workers"), [("3", 3), ("1..3", 3), ("2..9", 9), ("9", 9)])
def test_a_number_is_taken_at_its_word(resources: Any, asked: str, workers: int) -> None:
    resources(NO_GPU)
    assert share(asked).workers == workers


def test_what_a_cluster_cannot_give_is_refused(resources: Any) -> None:
    resources(NO_GPU)
    with pytest.raises(ValueError, match=r"no GPU \(4 CPUs, 0 GPUs\): .*--workers N"):
        share(device="cuda")
    assert share("2", device="cuda") == Share(2, 1.0, "cuda")
    with pytest.raises(ValueError, match=r"--workers 5\.\.8: the cluster has room for 4 "):
        share("5..8")


def test_a_cluster_is_one_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, expected in ((None, False), ("local", False), ("auto", True), ("ray://a:1", True)):
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        if address is not None:
            monkeypatch.setenv("RAY_ADDRESS", address)
        assert in_cluster() is expected
