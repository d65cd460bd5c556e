"""Generation on Ray actors: the only file of the pipeline that knows Ray."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import ray
from ray._private.state import state as ray_state
from ray.exceptions import RayError, RayTaskError
from ray.util.metrics import Counter, Gauge, Histogram

from pipeline.dataset.plan import Plan, write_or_check
from pipeline.events import OnEvent
from pipeline.generation.driver import Driver, GenerationError, list_failures, open_ledger
from pipeline.generation.events import (
    Listener,
    Progress,
    Retry,
    RunEvent,
    SampleQuarantined,
    ShardPublished,
    WorkerLost,
    listener_of,
)
from pipeline.generation.fleet import (
    Done,
    Event,
    Failed,
    Heartbeat,
    Leaving,
    LoadFailed,
    Lost,
    Ready,
    Report,
    Sampled,
)
from pipeline.generation.scheduling import Policy, Task
from pipeline.generation.signals import drain_on_sigterm
from pipeline.generation.summary import Summary, sum_up
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.publishing.heartbeats import record_ready, record_shard, recorded_run, worker_name
from pipeline.storage.probe import probe
from pipeline.storage.store import Store

if TYPE_CHECKING:
    # Only for its type: the module imports torch.
    from pipeline.teachers.teacher import Teacher

    TeacherFactory = Callable[[], Teacher]

# Loading or sampling, publishing up to two shards, and signs of life, at the same time.
_CALLS_AT_ONCE = 5
# How often Ray is asked which nodes are about to be taken away.
_LOOK_FOR_DRAINS_S = 5.0
# Buckets of a shard's time: from stand-ins to a thousand pairs on one slow GPU.
_SHARD_S = [0.1, 1.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]


def generate(
    plan: Plan,
    store: Store,
    teacher_factory: TeacherFactory,
    workers: int,
    gpus_per_worker: float,
    on_event: OnEvent,
    policy: Policy | None = None,
) -> Summary:
    """Make a plan's dataset with Ray actors, or resume one that was begun.

    Ray must be initialised. On SIGTERM running shards are finished (for `policy.grace_s` at most),
    then the signal takes effect.

    Args:
        store: where the dataset lies; workers open it anew.
        teacher_factory: picklable; called once in each worker.
        gpus_per_worker: GPUs of each actor, also a fraction; 0 on the CPU.

    Raises:
        GenerationError: shards or workers fail for a reason that is not one sample's.
        IncompleteError: samples are neither committed nor quarantined at the end.
        PlanMismatchError: the place holds another dataset, or a worker another teacher.
        StorageError: the store cannot be used.
    """
    policy = policy or Policy()
    probe(store)
    plan = write_or_check(store, plan)
    start_s = time.monotonic()
    with (
        recorded_run(store) as (rank, runs),
        drain_on_sigterm() as is_stopping,
        RayFleet(plan, store, teacher_factory, gpus_per_worker, policy.cpus_per_worker) as fleet,
    ):
        ledger = open_ledger(store, plan, policy, rank, runs)
        exporter = MetricsExporter(listener_of(on_event), plan.style, store.url)
        driver = Driver(store, ledger, fleet, workers, exporter)
        finished = driver.run(is_stopping)
    if not finished:
        signal.raise_signal(signal.SIGTERM)
    if ledger.failed:
        raise GenerationError(list_failures(ledger.failed))
    account = complete(store, plan)
    return sum_up(account, driver.work, ledger.counts, time.monotonic() - start_s)


class MetricsExporter:
    """Passes a run's events on and keeps Ray's metrics of them, which Prometheus collects.

    `onesketch_idle_share` is the share of time that a worker's sampling thread, and with it the
    GPU, waited during its latest shard. All are labelled with the style and the dataset's address,
    so that two runs on one cluster are told apart.
    """

    def __init__(self, listener: Listener, style: str, dataset: str) -> None:
        self._listener = listener
        tags = tuple(labels := {"style": style, "dataset": dataset})
        self._pairs = Counter("onesketch_pairs", "Pairs committed.", tags)
        self._bytes = Counter("onesketch_bytes", "Bytes of committed shards and indices.", tags)
        self._rate = Gauge("onesketch_pairs_per_s", "Pairs per second since the run's start.", tags)
        self._idle = Gauge("onesketch_idle_share", "Sampling thread's waits.", ("worker", *tags))
        self._shard_s = Histogram(
            "onesketch_shard_sampling_s", "Seconds to sample a shard.", _SHARD_S, tags
        )
        self._retries = Counter("onesketch_retries", "generate.retry", tags)
        self._quarantined = Counter("onesketch_quarantined", "generate.quarantined", tags)
        self._workers_lost = Counter("onesketch_workers_lost", "generate.worker_lost", tags)
        for metric in (
            self._pairs,
            self._bytes,
            self._rate,
            self._idle,
            self._shard_s,
            self._retries,
            self._quarantined,
            self._workers_lost,
        ):
            metric.set_default_tags(labels)

    def __call__(self, event: RunEvent) -> None:
        """Count an event and pass it on."""
        match event:
            case Retry():
                self._retries.inc()
            case SampleQuarantined():
                self._quarantined.inc()
            case WorkerLost():
                self._workers_lost.inc()
            case Progress(pairs_per_s=rate):
                self._rate.set(rate)
            case ShardPublished(made=True):
                self._count_shard(event)
        self._listener(event)

    def _count_shard(self, shard: ShardPublished) -> None:
        busy_s = shard.sampling_s + shard.waiting_s
        self._pairs.inc(shard.pairs)
        self._bytes.inc(shard.size_bytes)
        self._shard_s.observe(shard.sampling_s)
        self._idle.set(shard.waiting_s / busy_s, {"worker": str(shard.worker)})


class RayFleet:
    """Actors as the driver's workers. They are never restarted by Ray: the driver replaces them.

    Actors that find no place yet are Ray's demand for more nodes.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        teacher_factory: TeacherFactory,
        gpus_per_worker: float,
        cpus_per_worker: float,
    ) -> None:
        self._actor_class = ray.remote(_Worker).options(
            num_cpus=cpus_per_worker,
            num_gpus=gpus_per_worker,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_CALLS_AT_ONCE,
        )
        self._arguments = (plan, store, teacher_factory)
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}
        self._looked_s = 0.0
        self._calls: dict[Any, _Call] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._actors):
            self.stop(worker)

    def start(self, worker: int) -> None:
        """Ask Ray for an actor."""
        actor = self._actor_class.remote(*self._arguments)
        self._actors[worker] = actor
        self._calls[actor.load.remote()] = _Call("load", worker)

    def submit(self, worker: int, task: Task, excluded: frozenset[int]) -> None:
        """Begin a task; publication follows when its samples are made."""
        actor = self._actors[worker]
        if task.trial:
            self._calls[actor.try_samples.remote(task.trial)] = _Call("try", worker, task)
        else:
            sampled = actor.sample.remote(task.shard, excluded, task.begun)
            self._calls[sampled] = _Call("sample", worker, task)

    def ping(self, worker: int) -> None:
        """Ask for a sign of life, unless the last question is still open."""
        if _Call("heartbeat", worker) not in self._calls.values():
            self._calls[self._actors[worker].heartbeat.remote()] = _Call("heartbeat", worker)

    def stop(self, worker: int) -> None:
        """Kill an actor."""
        ray.kill(self._actors.pop(worker), no_restart=True)
        self._nodes.pop(worker, None)
        self._calls = {ref: call for ref, call in self._calls.items() if call.worker != worker}

    def wait(self, timeout_s: float) -> list[Event]:
        """Wait for the first calls to return, and give their events."""
        leaving = self._leaving()
        if not self._calls:
            time.sleep(timeout_s)
            return leaving
        refs = list(self._calls)
        ray.wait(refs, timeout=timeout_s)
        back, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        # A lost worker's other calls are dropped on the way.
        return [*leaving, *(self._handle(ref) for ref in back if ref in self._calls)]

    def _leaving(self) -> list[Event]:
        """Tell, once of each, which workers are on nodes that are about to be taken away."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_FOR_DRAINS_S:
            return []
        self._looked_s = now_s
        draining = ray_state.get_draining_nodes()
        workers = [worker for worker, node in self._nodes.items() if node in draining]
        for worker in workers:
            del self._nodes[worker]
        return [Leaving(worker) for worker in workers]

    def _handle(self, ref: Any) -> Event:
        call = self._calls.pop(ref)
        try:
            answer = ray.get(ref)
        except RayTaskError as error:
            return _failure(call, error)
        except RayError as error:
            self.stop(call.worker)
            return Lost(call.worker, _cause_of_death(error))
        if call.kind == "load":
            self._nodes[call.worker] = answer
            return Ready(call.worker)
        if call.task is None:
            return Heartbeat(call.worker, answer)
        if call.kind == "sample":
            published = self._actors[call.worker].publish.remote(call.task.shard)
            self._calls[published] = _Call("publish", call.worker, call.task)
            return Sampled(call.worker, call.task)
        return Done(call.worker, call.task, answer)


@dataclass(frozen=True)
class _Call:
    """The call that an actor's pending reference belongs to."""

    kind: Literal["load", "sample", "publish", "try", "heartbeat"]
    worker: int
    task: Task | None = None


class _Worker:
    """The actor around a ShardMaker."""

    def __init__(self, plan: Plan, store: Store, teacher_factory: TeacherFactory) -> None:
        self._arguments = (plan, store, teacher_factory)

    def load(self) -> str:
        # Not in the constructor, whose errors Ray reports as the actor's death, in words only.
        with naming_this_node():
            self._maker = ShardMaker(*self._arguments)
            record_ready(self._maker.store, worker_name())
        return str(ray.get_runtime_context().get_node_id())

    def sample(self, shard: int, excluded: frozenset[int], begun: bool) -> None:
        self._maker.sample(shard, excluded, begun)

    def publish(self, shard: int) -> Report:
        report = self._maker.publish(shard)
        record_shard(self._maker.store, worker_name(), shard)
        return report

    def try_samples(self, indices: tuple[int, ...]) -> None:
        self._maker.try_samples(indices)

    def heartbeat(self) -> int:
        return self._maker.progress


@contextmanager
def naming_this_node() -> Iterator[None]:
    """Put this node's name before the message of a ValueError, where the cluster has others."""
    try:
        yield
    except ValueError as error:
        if len(ray.nodes()) > 1 and error.args and str(error) == error.args[0]:
            error.args = (f"node {socket.gethostname()}: {error}", *error.args[1:])
        raise


def _failure(call: _Call, error: RayTaskError) -> Event:
    cause = error.cause if isinstance(error.cause, Exception) else error
    if call.task is None:
        return LoadFailed(call.worker, cause)
    return Failed(call.worker, call.task, cause)


def _cause_of_death(error: RayError) -> str:
    # Ray's own texts run over many lines with addresses and process numbers of the cluster.
    return f"the worker's process died ({type(error).__name__})"
