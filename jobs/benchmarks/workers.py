"""Benchmarks `worker` and `overlap`: what a worker adds to bare sampling, and what it hides."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    ratios,
    take_turns,
)
from jobs.benchmarks.standins.pictures import SleepingTeacher, plan_for
from jobs.benchmarks.standins.sketchers import UntaughtFactory
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import choose_machine
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.plan import Plan, write_or_check
from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.events import RunEvent, ShardPublished
from pipeline.generation.fleet import Event, Ready, Report
from pipeline.generation.ray_actors import RayFleet
from pipeline.generation.scheduling import Policy, Task
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created, Store
from pipeline.teachers.teacher import Teacher

_SHARDS_A_ROUND = 3
# What a compiled Stable Diffusion 1.4 takes for a pair of 512 px on an H200 (docs/results.md).
_SD_SAMPLE_S = 1 / 4.6
_SD_SIDE = 512


def measure_worker(effort: Effort) -> BenchmarkResult:
    """Generate with one Ray actor, against the bare loop in another, in turns."""
    factory = UntaughtFactory.embedded(effort.tiny)
    batch, steps = factory.sampling.batch, factory.sampling.steps
    shards = 1 if effort.tiny else _SHARDS_A_ROUND
    plan = plan_for((effort.rounds + 1) * shards * batch, batch, batch, factory.fingerprint)
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        store = open_store(temp)
        write_or_check(store, plan)
        with ray_runtime(choose_machine("cpu")), _WarmFleet(plan, store, factory) as fleet:
            rounds = _Rounds(store, plan, fleet, shards)
            bare: Any = ray.remote(_BareLoop).options(num_cpus=1).remote(factory, plan)
            ours_s, peer_s = take_turns(
                rounds, lambda: ray.get(bare.sample.remote(range(shards))), effort.rounds
            )
            ray.kill(bare)
        waits = _waits_at_full_speed(effort)
    return BenchmarkResult(
        workload=f"{shards} shards of {batch} pairs from the embedded model ({steps} steps, random "
        "G_sketch) by one Ray actor, to a local folder; and 512 px pairs from a stand-in that "
        f"sleeps {_SD_SAMPLE_S * 1e3:.0f} ms a pair",
        peer="the same batches in a bare loop in another actor, the pairs thrown away",
        scores=(
            BenchmarkScore("of the bare loop's rate", ratios(peer_s, ours_s), 0.97, at_least=True),
            BenchmarkScore(
                "share of time that the sampling thread waits, stand-in",
                waits,
                0.03,
                at_least=False,
                unit="",
            ),
        ),
        seconds={"ours": ours_s, "peer": peer_s},
        metadata={"pairs_per_round": shards * batch, "steps": steps},
    )


def measure_overlap(effort: Effort) -> BenchmarkResult:
    """Sample while earlier shards are encoded and uploaded, against one after the other."""
    side, shard_size, shards = (64, 4, 2) if effort.tiny else (_SD_SIDE, 16, 4)
    sample_s, create_s = (0.005, 0.01) if effort.tiny else (0.03, 0.1)
    plan = plan_for(shards * shard_size, shard_size, 4)
    teacher = SleepingTeacher(side, sample_s)

    def fresh() -> tuple[tempfile.TemporaryDirectory[str], Any]:
        folder = tempfile.TemporaryDirectory(prefix="onesketch-bench-")
        return folder, _SlowStore(LocalStore(Path(folder.name)), create_s)

    def ours() -> None:
        folder, store = fresh()
        with folder:
            _overlapped(ShardMaker(plan, store, lambda: teacher), plan)

    def peer() -> None:
        folder, store = fresh()
        with folder:
            _inline(teacher, store, plan)

    ours_s, peer_s = take_turns(ours, peer, effort.rounds)
    return BenchmarkResult(
        workload=f"{shards} shards of {shard_size} pairs of {side} px; sampling sleeps "
        f"{sample_s * 1e3:.0f} ms a pair, the store {create_s * 1e3:.0f} ms an object",
        peer="sampling, encoding and upload one after the other in one thread",
        scores=(BenchmarkScore("times as fast", ratios(peer_s, ours_s), 1.25, at_least=True),),
        seconds={"ours": ours_s, "peer": peer_s},
        metadata={"sleep_of_sampling_s": sample_s * plan.samples},
    )


class _WarmFleet(RayFleet):
    """Actors that stay from one driver to the next, their teacher loaded."""

    def __init__(self, plan: Plan, store: Store, factory: Callable[[], Teacher]) -> None:
        super().__init__(plan, store, factory, gpus_per_worker=0.0, cpus_per_worker=1.0)
        self._at_once: list[Event] = []

    def start(self, worker: int) -> None:
        """Start an actor, unless it is there."""
        if worker in self._actors:
            self._at_once.append(Ready(worker))
        else:
            super().start(worker)

    def wait(self, timeout_s: float) -> list[Event]:
        """Report first the workers that were there already."""
        events, self._at_once = self._at_once, []
        return events or super().wait(timeout_s)


@dataclass
class _Rounds:
    """Shards of one plan, some for each round, through one warm worker."""

    store: Store
    plan: Plan
    fleet: _WarmFleet
    shards_a_round: int
    next_shard: int = 0

    def __call__(self) -> list[ShardPublished]:
        """Generate the next round's shards; return what was said of each."""
        shards = range(self.next_shard, self.next_shard + self.shards_a_round)
        self.next_shard = shards.stop
        ledger = open_ledger(self.store, self.plan, Policy())
        ledger.queue = deque(Task(shard) for shard in shards)
        published: list[ShardPublished] = []

        def listen(event: RunEvent) -> None:
            if isinstance(event, ShardPublished):
                published.append(event)

        Driver(self.store, ledger, self.fleet, 1, listen).run(lambda: False)
        return published


class _BareLoop:
    """The peer: an actor that samples and throws the pairs away."""

    def __init__(self, factory: Callable[[], Teacher], plan: Plan) -> None:
        self.teacher, self.plan = factory(), plan

    def sample(self, shards: Sequence[int]) -> int:
        """Make the pairs of some shards; return how many."""
        made = 0
        for shard in shards:
            for batch in self.plan.batches(shard):
                made += len(self.teacher.pairs([self.plan.spec(index) for index in batch]))
        return made


def _waits_at_full_speed(effort: Effort) -> tuple[float, ...]:
    """Return the shares of waiting at Stable Diffusion's size and an H200's speed, by shard."""
    side, sample_s, size = (64, 0.01, 4) if effort.tiny else (_SD_SIDE, _SD_SAMPLE_S, 8)

    def factory() -> SleepingTeacher:
        return SleepingTeacher(side, sample_s)

    num_shards = effort.rounds + 2
    plan = plan_for(num_shards * size, size, size)
    with (
        tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp,
        ray_runtime(choose_machine("cpu")),
        _WarmFleet(plan, open_store(temp), factory) as fleet,
    ):
        reports = _Rounds(open_store(temp), plan, fleet, num_shards)()
    # The first waits for its assignment, and the second while the first one's publication loads
    # what it needs; in a long job neither counts.
    reports.sort(key=lambda report: report.shard)
    return tuple(
        report.waiting_s / (report.waiting_s + report.sampling_s) for report in reports[2:]
    )


@dataclass(frozen=True)
class _SlowStore:
    """A local folder behind a slow connection: each object takes `create_s` more."""

    inner: LocalStore
    create_s: float

    def create(self, key: str, data: bytes) -> Created:
        """Create an object, slowly."""
        time.sleep(self.create_s)
        return self.inner.create(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _overlapped(maker: ShardMaker, plan: Plan) -> None:
    """Make a worker's two calls a shard, as the driver makes them."""
    most = Policy().max_unpublished
    unpublished: deque[Future[Report]] = deque()
    with ThreadPoolExecutor(most) as pool:
        for shard in range(plan.num_shards):
            if len(unpublished) == most:
                unpublished.popleft().result()
            maker.sample(shard, frozenset(), begun=False)
            unpublished.append(pool.submit(maker.publish, shard))
        for future in unpublished:
            future.result()


def _inline(teacher: Teacher, store: Store, plan: Plan) -> None:
    for shard in range(plan.num_shards):
        encoded = [
            encode_pair(pair)
            for batch in plan.batches(shard)
            for pair in teacher.pairs([plan.spec(index) for index in batch])
        ]
        publish(store, plan, shard, encoded)
