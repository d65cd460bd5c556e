"""Benchmarks `control`, `straggler` and `preempt`: the driver with a thousand simulated GPUs.

Workers exist on a simulated clock only, the driver is the real one, and the processor time that it
takes passes on the simulated clock as well. What Ray itself takes to carry a call is not in here.
"""

import heapq
import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.benchmarks.measure import Effort, Measured, Score, ignore
from jobs.benchmarks.standins.pictures import plan_for
from pipeline.dataset.plan import Plan
from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_fleet import SimulatedFleet, WorkerBehaviour
from pipeline.storage.local import LocalStore

SHARD_SIZE = 128
# A compiled Stable Diffusion 1.4 on an H200 makes about 4.6 pairs a second.
SAMPLE_S = 1 / 4.6
START_S = 60.0
PUBLISH_S = 2.0
# Shards differ a little in time: clocks, temperatures, neighbours.
SPREAD = 0.05


@dataclass(frozen=True)
class Job:
    """So many shards for so many simulated GPUs."""

    workers: int = 1000
    shards: int = 4000

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return plan_for(self.shards * SHARD_SIZE, SHARD_SIZE, batch=32)

    def behaviour(self, seed: int) -> WorkerBehaviour:
        """Shards of unequal effort, drawn from a seed."""
        draw = random.Random(seed)
        effort = {shard: draw.lognormvariate(0.0, SPREAD) for shard in range(self.shards)}
        return WorkerBehaviour(SAMPLE_S, START_S, PUBLISH_S, effort=effort)


@dataclass(frozen=True)
class Run:
    """What became of a job: simulated seconds, the driver's own seconds, what was committed."""

    makespan_s: float
    driver_s: float
    committed: tuple[int, ...]
    counts: Mapping[str, int]

    def lost(self, job: Job) -> int:
        """Shards that were never committed."""
        return job.shards - len(set(self.committed))

    def doubled(self) -> int:
        """Shards that the driver counted more than once."""
        return len(self.committed) - len(set(self.committed))


def drive(job: Job, behaviour: WorkerBehaviour) -> Run:
    """Let the driver run a job."""
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        store, policy = LocalStore(Path(temp)), Policy()
        fleet = SimulatedFleet(job.plan, behaviour, real_clock=time.thread_time)
        ledger = open_ledger(store, job.plan, policy)
        driver = Driver(store, ledger, fleet, job.workers, ignore, fleet.clock)
        start_s = time.thread_time()
        driver.run(lambda: False)
        driver_s = time.thread_time() - start_s
        committed = tuple(report.commit.shard for report in driver.reports)
        return Run(fleet.now_s, driver_s, committed, ledger.counts)


def list_schedule_s(job: Job, behaviour: WorkerBehaviour) -> float:
    """Makespan of ideal list scheduling: each shard, in order, to whoever is free first.

    Decisions cost nothing, and publishing counts for the last shard of each worker only.
    """
    free = [(behaviour.start_s, worker) for worker in range(job.workers)]
    end_s = 0.0
    for shard in range(job.shards):
        free_s, worker = heapq.heappop(free)
        done_s = free_s + behaviour.sampling_s(worker, shard, SHARD_SIZE)
        end_s = max(end_s, done_s + behaviour.publish_s)
        heapq.heappush(free, (done_s, worker))
    return end_s


def divisible_s(job: Job, behaviour: WorkerBehaviour) -> float:
    """Makespan if the work could be cut at will: no schedule of whole shards is faster."""
    rate = sum(1 / behaviour.slowness.get(worker, 1.0) for worker in range(job.workers))
    work = sum(behaviour.effort.get(shard, 1.0) for shard in range(job.shards))
    return behaviour.start_s + work * SHARD_SIZE * behaviour.sample_s / rate + behaviour.publish_s


def static_split_s(job: Job, behaviour: WorkerBehaviour) -> float:
    """Makespan if each worker is given its shards beforehand, equally many."""
    ends = [behaviour.start_s + behaviour.publish_s] * job.workers
    for shard in range(job.shards):
        worker = shard % job.workers
        ends[worker] += behaviour.sampling_s(worker, shard, SHARD_SIZE)
    return max(ends)


def measure_control(effort: Effort) -> Measured:
    """A job without incidents: the driver's own pace, and what its decisions cost in time."""
    job = Job(20, 80) if effort.tiny else Job()
    runs = [
        (behaviour := job.behaviour(seed), drive(job, behaviour)) for seed in range(effort.rounds)
    ]
    bounds = [list_schedule_s(job, behaviour) for behaviour, _ in runs]
    makespans = [run.makespan_s for _, run in runs]
    lost = sum(run.lost(job) + run.doubled() for _, run in runs)
    return Measured(
        workload=f"{job.shards} shards on {job.workers} simulated GPUs, "
        f"{SHARD_SIZE * SAMPLE_S:.0f} s each, give or take 5 %",
        peer="ideal list scheduling of the same shards: in order, to whoever is free first, at no "
        "cost",
        scores=(
            Score(
                "shards a second through the driver",
                tuple(job.shards / run.driver_s for _, run in runs),
                300.0,
                at_least=True,
                unit="/s",
            ),
            Score("makespan of the peer's", _each(makespans, bounds), 1.05, at_least=False),
            Score("shards lost or doubled", (lost,), 0, at_least=False, unit=""),
        ),
        metadata={
            "virtual_makespan_s": makespans,
            "list_schedule_s": bounds,
            "divisible_bound_s": [divisible_s(job, behaviour) for behaviour, _ in runs],
            "driver_s": [run.driver_s for _, run in runs],
        },
    )


def measure_straggler(effort: Effort) -> Measured:
    """One worker in twenty takes three times as long."""
    job = Job(20, 80) if effort.tiny else Job()
    makespans, splits, duplicates = [], [], []
    for seed in range(effort.rounds):
        draw = random.Random(seed)
        slow = draw.sample(range(job.workers), job.workers // 20)
        behaviour = _changed(job.behaviour(seed), slowness=dict.fromkeys(slow, 3.0))
        run = drive(job, behaviour)
        makespans.append(run.makespan_s)
        splits.append(static_split_s(job, behaviour))
        duplicates.append(run.counts.get("duplicates", 0))
    return Measured(
        workload=f"{job.shards} shards on {job.workers} simulated GPUs, 5 % of them 3 times slower",
        peer="static split: each worker has its equal share from the start",
        scores=(Score("times as fast", _each(splits, makespans), 1.6, at_least=True),),
        metadata={
            "virtual_makespan_s": makespans,
            "static_split_s": splits,
            "duplicated_shards": duplicates,
        },
    )


def measure_preempt(effort: Effort) -> Measured:
    """One worker in ten is killed at some time of the run, and replaced.

    A shard is made anew from its start, so that a death near the end costs up to a shard's time:
    the fewer shards a worker makes, the more that is of the whole. Hence two jobs.
    """
    jobs = [Job(20, 80), Job(10, 200)] if effort.tiny else [Job(), Job(100, 2000)]
    # Much depends on when the last ones die: three times the rounds, which are simulated and cheap.
    rounds = effort.rounds * (1 if effort.tiny else 3)
    pairs = [[_disturbed(job, seed) for seed in range(rounds)] for job in jobs]
    scores = [
        Score(
            f"time of the peer's, {job.shards // job.workers} shards a worker",
            _each([run.makespan_s for _, run in runs], [calm.makespan_s for calm, _ in runs]),
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
    return Measured(
        workload=f"{sizes}; 10 % of these killed at random times, a new one {START_S:.0f} s later",
        peer="the same run undisturbed",
        scores=(
            *scores,
            Score("shards lost, doubled or given up", wrong, 0, at_least=False, unit=""),
        ),
        metadata={
            "killed": [run.counts.get("workers_lost", 0) for runs in pairs for _, run in runs],
            "virtual_makespan_s": [run.makespan_s for runs in pairs for _, run in runs],
            "undisturbed_s": [calm.makespan_s for runs in pairs for calm, _ in runs],
        },
    )


def _disturbed(job: Job, seed: int) -> tuple[Run, Run]:
    """The same job in peace and with deaths."""
    draw = random.Random(seed)
    behaviour = job.behaviour(seed)
    calm = drive(job, behaviour)
    killed = draw.sample(range(job.workers), job.workers // 10)
    deaths = {worker: draw.uniform(START_S, calm.makespan_s) for worker in killed}
    return calm, drive(job, _changed(behaviour, deaths=deaths))


def _each(of: list[float], to: list[float]) -> tuple[float, ...]:
    return tuple(a / b for a, b in zip(of, to, strict=True))


def _changed(behaviour: WorkerBehaviour, **changes: Mapping[int, float]) -> WorkerBehaviour:
    return WorkerBehaviour(**(vars(behaviour) | changes))
