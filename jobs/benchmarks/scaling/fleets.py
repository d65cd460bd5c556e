"""Benchmarks `control`, `straggler` and `preempt`: the driver with a thousand simulated GPUs.

Workers exist on a simulated clock only, the driver is the real one, and the processor time that it
takes passes on the simulated clock as well. What Ray itself takes to carry a call is not in here.
"""

from __future__ import annotations

import heapq
import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, ratios
from jobs.benchmarks.standins.pictures import plan_for
from pipeline.dataset.plan import Plan
from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.events import RunEvent, ShardPublished
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_fleet import SimulatedFleet, WorkerBehaviour
from pipeline.storage.local import LocalStore

_SHARD_SIZE = 128
# The pace of a compiled Stable Diffusion 1.4 on an H200 (docs/results.md).
_SAMPLE_S = 1 / 4.6
_START_S = 60.0
_PUBLISH_S = 2.0
# Shards differ a little in time: clocks, temperatures, neighbours.
_SPREAD = 0.05


@dataclass(frozen=True)
class SimulatedJob:
    """A number of shards for a number of simulated GPUs."""

    workers: int = 1000
    shards: int = 4000

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return plan_for(self.shards * _SHARD_SIZE, _SHARD_SIZE, batch=32)

    def behaviour(self, seed: int) -> WorkerBehaviour:
        """Return shards of unequal effort, drawn from a seed."""
        draw = random.Random(seed)
        effort = {shard: draw.lognormvariate(0.0, _SPREAD) for shard in range(self.shards)}
        return WorkerBehaviour(_SAMPLE_S, _START_S, _PUBLISH_S, effort=effort)


@dataclass(frozen=True)
class SimulatedRun:
    """What became of a job: simulated seconds, the driver's own seconds, what was committed."""

    makespan_s: float
    driver_s: float
    committed: tuple[int, ...]
    counts: Mapping[str, int]

    def lost(self, job: SimulatedJob) -> int:
        """Return how many shards were never committed."""
        return job.shards - len(set(self.committed))

    def doubled(self) -> int:
        """Return how many shards the driver counted more than once."""
        return len(self.committed) - len(set(self.committed))


def measure_control(effort: Effort) -> BenchmarkResult:
    """Run a job without incidents: the driver's own pace, and what its decisions cost in time."""
    job = SimulatedJob(20, 80) if effort.tiny else SimulatedJob()
    runs = [
        (behaviour := job.behaviour(seed), _drive(job, behaviour)) for seed in range(effort.rounds)
    ]
    bounds = [list_schedule_s(job, behaviour) for behaviour, _ in runs]
    makespans = [run.makespan_s for _, run in runs]
    lost = sum(run.lost(job) + run.doubled() for _, run in runs)
    return BenchmarkResult(
        workload=f"{job.shards} shards on {job.workers} simulated GPUs, "
        f"{_SHARD_SIZE * _SAMPLE_S:.0f} s each, give or take 5 %",
        peer="ideal list scheduling of the same shards: in order, to whoever is free first, at no "
        "cost",
        scores=(
            BenchmarkScore(
                "shards a second through the driver",
                tuple(job.shards / run.driver_s for _, run in runs),
                300.0,
                at_least=True,
                unit="/s",
            ),
            BenchmarkScore(
                "makespan of the peer's", ratios(makespans, bounds), 1.05, at_least=False
            ),
            BenchmarkScore("shards lost or doubled", (lost,), 0, at_least=False, unit=""),
        ),
        metadata={
            "virtual_makespan_s": makespans,
            "list_schedule_s": bounds,
            "divisible_bound_s": [divisible_s(job, behaviour) for behaviour, _ in runs],
            "driver_s": [run.driver_s for _, run in runs],
        },
    )


def measure_straggler(effort: Effort) -> BenchmarkResult:
    """Run a job in which one worker in twenty takes three times as long."""
    job = SimulatedJob(20, 80) if effort.tiny else SimulatedJob()
    makespans, splits, duplicates = [], [], []
    for seed in range(effort.rounds):
        draw = random.Random(seed)
        slow = draw.sample(range(job.workers), job.workers // 20)
        behaviour = replace(job.behaviour(seed), slowness=dict.fromkeys(slow, 3.0))
        run = _drive(job, behaviour)
        makespans.append(run.makespan_s)
        splits.append(static_split_s(job, behaviour))
        duplicates.append(run.counts.get("duplicates", 0))
    return BenchmarkResult(
        workload=f"{job.shards} shards on {job.workers} simulated GPUs, 5 % of them 3 times slower",
        peer="static split: each worker has its equal share from the start",
        scores=(BenchmarkScore("times as fast", ratios(splits, makespans), 1.6, at_least=True),),
        metadata={
            "virtual_makespan_s": makespans,
            "static_split_s": splits,
            "duplicated_shards": duplicates,
        },
    )


def measure_preempt(effort: Effort) -> BenchmarkResult:
    """Run jobs in which one worker in ten is killed at some time, and replaced.

    A shard is made anew from its start, so that a death near the end costs up to a shard's time:
    the fewer shards a worker makes, the more that is of the whole. Hence two jobs.
    """
    jobs = (
        [SimulatedJob(20, 80), SimulatedJob(10, 200)]
        if effort.tiny
        else [SimulatedJob(), SimulatedJob(100, 2000)]
    )
    # Much depends on when the last ones die: three times the rounds, which are simulated and cheap.
    rounds = effort.rounds * (1 if effort.tiny else 3)
    pairs = [[_disturbed(job, seed) for seed in range(rounds)] for job in jobs]
    scores = [
        BenchmarkScore(
            f"time of the peer's, {job.shards // job.workers} shards a worker",
            ratios([run.makespan_s for _, run in runs], [calm.makespan_s for calm, _ in runs]),
            1.15,
            at_least=False,
        )
        for job, runs in zip(jobs, pairs, strict=True)
    ]
    wrong = tuple(
        run.lost(job) + run.doubled() + run.counts.get("quarantined", 0)
        for job, runs in zip(jobs, pairs, strict=True)
        for _, run in runs
    )
    sizes = " and ".join(f"{job.shards} shards on {job.workers} simulated GPUs" for job in jobs)
    return BenchmarkResult(
        workload=f"{sizes}; 10 % of these killed at random times, a new one {_START_S:.0f} s later",
        peer="the same run undisturbed",
        scores=(
            *scores,
            BenchmarkScore("shards lost, doubled or given up", wrong, 0, at_least=False, unit=""),
        ),
        metadata={
            "killed": [run.counts.get("workers_lost", 0) for runs in pairs for _, run in runs],
            "virtual_makespan_s": [run.makespan_s for runs in pairs for _, run in runs],
            "undisturbed_s": [calm.makespan_s for runs in pairs for calm, _ in runs],
        },
    )


def list_schedule_s(job: SimulatedJob, behaviour: WorkerBehaviour) -> float:
    """Return the makespan of ideal list scheduling: shards in order, each to the first free worker.

    Decisions cost nothing, and publishing counts for the last shard of each worker only.
    """
    free = [(behaviour.start_s, worker) for worker in range(job.workers)]
    end_s = 0.0
    for shard in range(job.shards):
        free_s, worker = heapq.heappop(free)
        done_s = free_s + behaviour.sampling_s(worker, shard, _SHARD_SIZE)
        end_s = max(end_s, done_s + behaviour.publish_s)
        heapq.heappush(free, (done_s, worker))
    return end_s


def divisible_s(job: SimulatedJob, behaviour: WorkerBehaviour) -> float:
    """Return the makespan if work could be cut at will: no schedule of whole shards is faster."""
    rate = sum(1 / behaviour.slowness.get(worker, 1.0) for worker in range(job.workers))
    work = sum(behaviour.effort.get(shard, 1.0) for shard in range(job.shards))
    return behaviour.start_s + work * _SHARD_SIZE * behaviour.sample_s / rate + behaviour.publish_s


def static_split_s(job: SimulatedJob, behaviour: WorkerBehaviour) -> float:
    """Return the makespan if each worker is given its shards beforehand, equally many."""
    ends = [behaviour.start_s + behaviour.publish_s] * job.workers
    for shard in range(job.shards):
        worker = shard % job.workers
        ends[worker] += behaviour.sampling_s(worker, shard, _SHARD_SIZE)
    return max(ends)


def _drive(job: SimulatedJob, behaviour: WorkerBehaviour) -> SimulatedRun:
    """Let the driver run a job."""
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        store, policy = LocalStore(Path(temp)), Policy()
        fleet = SimulatedFleet(job.plan, behaviour, real_clock=time.thread_time)
        ledger = open_ledger(store, job.plan, policy)
        committed: list[int] = []

        def listen(event: RunEvent) -> None:
            if isinstance(event, ShardPublished):
                committed.append(event.shard)

        driver = Driver(store, ledger, fleet, job.workers, listen, fleet.clock)
        start_s = time.thread_time()
        driver.run(lambda: False)
        driver_s = time.thread_time() - start_s
        return SimulatedRun(fleet.now_s, driver_s, tuple(committed), ledger.counts)


def _disturbed(job: SimulatedJob, seed: int) -> tuple[SimulatedRun, SimulatedRun]:
    """Run the same job in peace and with deaths."""
    draw = random.Random(seed)
    behaviour = job.behaviour(seed)
    calm = _drive(job, behaviour)
    killed = draw.sample(range(job.workers), job.workers // 10)
    deaths = {worker: draw.uniform(_START_S, calm.makespan_s) for worker in killed}
    return calm, _drive(job, replace(behaviour, deaths=deaths))
