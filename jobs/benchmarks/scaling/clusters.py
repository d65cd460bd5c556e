"""Benchmark `cluster`: what a dataset takes on up to 1,000 GPUs that must first be there.

Nodes boot, fetch teacher and weights, load them, and are taken away at times; all of that on a
simulated clock, on which the real driver's own time passes too. The rates are assumptions, but for
the pace of a pair; docs/scale.md says where they come from and what follows.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, ratios
from jobs.benchmarks.standins.pictures import plan_for
from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.events import RunEvent, ShardPublished
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_cluster import NodeBehaviour, SimulatedCluster
from pipeline.generation.simulated_fleet import WorkerBehaviour
from pipeline.storage.local import LocalStore

# The pace of a compiled Stable Diffusion 1.4 on an H200 (docs/results.md).
SAMPLE_S = 1 / 4.6
# From weights on the node's disk to the first batch, compilation included.
_LOAD_S = 60.0
_PUBLISH_S = 2.0
_BATCH = 32
# Shards differ a little in time: clocks, temperatures, neighbours.
_SPREAD = 0.05
_SECONDS_PER_HOUR = 3600
_BITS_PER_BYTE = 8


@dataclass(frozen=True)
class ClusterJob:
    """A dataset on a number of GPUs."""

    gpus: int
    samples: int
    shard_size: int

    def __str__(self) -> str:
        return f"{self.samples:,} pairs, {self.gpus:,} GPUs, {self.shard_size:,} a shard"

    @property
    def ideal_s(self) -> float:
        """Time if all GPUs were there at once and work could be cut at will."""
        return self.samples * SAMPLE_S / self.gpus

    @property
    def ideal_h(self) -> float:
        """GPU-hours of sampling alone."""
        return self.samples * SAMPLE_S / _SECONDS_PER_HOUR


JOBS = (
    ClusterJob(8, 30_000, 128),
    ClusterJob(32, 30_000, 128),
    ClusterJob(128, 30_000, 128),
    ClusterJob(1000, 30_000, 128),
    ClusterJob(1000, 30_000, 32),
    ClusterJob(1000, 30_000_000, 1024),
    ClusterJob(1000, 30_000_000, 128),
)
_TINY_JOBS = (ClusterJob(16, 960, 32), ClusterJob(16, 3200, 32))
# Larger ones are simulated once: their parts even out.
_ONCE_FROM = 1_000_000


@dataclass(frozen=True)
class ClusterRun:
    """What became of a job: simulated seconds, GPU-hours paid for, nodes and shards lost."""

    makespan_s: float
    paid_h: float
    preempted: int
    lost: int
    doubled: int


def measure_cluster(effort: Effort) -> BenchmarkResult:
    """Let the driver make each job's dataset, with other nodes in each round."""
    nodes = NodeBehaviour(
        node_bytes_per_s=effort.node_gbits * 1e9 / _BITS_PER_BYTE,
        preempted_per_hour=effort.preempted_per_hour,
    )
    found: dict[ClusterJob, list[ClusterRun]] = {}
    for job in _TINY_JOBS if effort.tiny else JOBS:
        rounds = 1 if job.samples >= _ONCE_FROM else effort.rounds
        found[job] = [_run_cluster(job, nodes, seed) for seed in range(rounds)]
    wrong = tuple(run.lost + run.doubled for runs in found.values() for run in runs)
    return BenchmarkResult(
        workload=f"datasets on simulated nodes of {nodes.workers} GPUs, {1 / SAMPLE_S:.1f} pairs a "
        f"second each: {nodes.boot_s:.0f} s to boot, {nodes.fetch_bytes / 1e9:.0f} GB at "
        f"{effort.node_gbits:g} Gbit/s a node and {nodes.store_bytes_per_s / 1e9:.0f} GB/s for "
        f"all, {_LOAD_S:.0f} s to load; {nodes.preempted_per_hour:g} preemptions a node and hour",
        peer="start-up of a node of the usual kind, then whole shards on all GPUs; the figures "
        "called ideal are without any start-up, and with work cut at will",
        scores=(
            *(_score(job, nodes, runs) for job, runs in found.items()),
            BenchmarkScore("shards lost or doubled", wrong, 0, at_least=False, unit=""),
        ),
        metadata=_facts(found, _start_up_s(nodes)),
    )


def _start_up_s(nodes: NodeBehaviour) -> float:
    """Return the least time before the first pair, of a node of the usual kind."""
    return nodes.boot_s + nodes.fetch_s(1) + _LOAD_S


def _run_cluster(job: ClusterJob, nodes: NodeBehaviour, seed: int) -> ClusterRun:
    """Simulate one job with the real driver."""
    plan = plan_for(job.samples, job.shard_size, _BATCH)
    draw = statistics.NormalDist(0.0, _SPREAD).samples(plan.num_shards, seed=seed)
    behaviour = WorkerBehaviour(
        SAMPLE_S, _LOAD_S, _PUBLISH_S, effort={n: math.exp(value) for n, value in enumerate(draw)}
    )
    committed = bytearray(plan.num_shards)

    def listen(event: RunEvent) -> None:
        if isinstance(event, ShardPublished):
            committed[event.shard] = min(committed[event.shard] + 1, 2)

    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        store, policy = LocalStore(Path(temp)), Policy()
        fleet = SimulatedCluster(plan, behaviour, nodes, seed, real_clock=time.thread_time)
        ledger = open_ledger(store, plan, policy)
        Driver(store, ledger, fleet, job.gpus, listen, fleet.clock).run(lambda: False)
    return ClusterRun(
        fleet.now_s, fleet.paid_h, fleet.num_preempted, committed.count(0), committed.count(2)
    )


def _score(job: ClusterJob, nodes: NodeBehaviour, runs: Sequence[ClusterRun]) -> BenchmarkScore:
    """Compare with start-up and then whole shards, which no schedule can be faster than."""
    shard_s = job.shard_size * SAMPLE_S
    shards = math.ceil(job.samples / job.shard_size)
    least_s = _start_up_s(nodes) + math.ceil(shards / job.gpus) * shard_s + _PUBLISH_S
    found = ratios([run.makespan_s for run in runs], [least_s] * len(runs))
    return BenchmarkScore(f"time of the least possible: {job}", found, 1.25, at_least=False)


def _facts(found: dict[ClusterJob, list[ClusterRun]], start_s: float) -> dict[str, list[float]]:
    """List, job by job, medians over the rounds."""

    def medians(values: Sequence[Sequence[float]]) -> list[float]:
        return [statistics.median(of_job) for of_job in values]

    runs = list(found.values())
    return {
        "gpus": [job.gpus for job in found],
        "samples": [job.samples for job in found],
        "shard_size": [job.shard_size for job in found],
        "start_up_s": [start_s for _ in found],
        "ideal_s": [job.ideal_s for job in found],
        "makespan_s": medians([[run.makespan_s for run in of_job] for of_job in runs]),
        "ideal_gpu_h": [job.ideal_h for job in found],
        "paid_gpu_h": medians([[run.paid_h for run in of_job] for of_job in runs]),
        "preempted_nodes": medians([[run.preempted for run in of_job] for of_job in runs]),
    }
