"""A fleet in simulated time: the driver's decisions without processes or waiting.

Tests drive it through every fault; benchmarks give it a thousand workers. The time that the driver
itself takes can count on the simulated clock too, so that a slow driver makes the run longer.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from pipeline.dataset.commit import Commit, StoredFile
from pipeline.dataset.plan import Plan
from pipeline.generation.fleet import (
    Done,
    Event,
    Failed,
    Heartbeat,
    Leaving,
    Lost,
    Ready,
    Report,
    Sampled,
)
from pipeline.generation.scheduling import Task

START_S = 2.0
PUBLISH_S = 0.5


@dataclass(frozen=True)
class WorkerBehaviour:
    """How simulated workers behave; times in simulated seconds.

    A sample takes `sample_s`, times its worker's entry in `slowness` and its shard's in `effort`.
    `deadly` samples kill the worker that makes them, `poison` samples raise an error. `deaths` maps
    workers to the time at which they die anyway, `notices` to that at which they are told that
    their node will go; workers in `frozen` never answer once they have a task.
    """

    sample_s: float = 1.0
    start_s: float = START_S
    publish_s: float = PUBLISH_S
    slowness: Mapping[int, float] = field(default_factory=dict)
    effort: Mapping[int, float] = field(default_factory=dict)
    deadly: Collection[int] = ()
    poison: Collection[int] = ()
    deaths: Mapping[int, float] = field(default_factory=dict)
    notices: Mapping[int, float] = field(default_factory=dict)
    frozen: Collection[int] = ()

    def sampling_s(self, worker: int, shard: int, num_samples: int) -> float:
        """Return the time that a worker needs for `num_samples` samples of a shard."""
        factor = self.slowness.get(worker, 1.0) * self.effort.get(shard, 1.0)
        return num_samples * self.sample_s * factor


class SimulatedFleet:
    """Workers of a plan that exist only as entries in an agenda.

    `on_publish` may return an error in place of a published shard. `real_clock` returns real
    seconds: time that passes on it between two calls of `wait` passes on the simulated clock too.
    Without `keep_history`, `submitted` and `published` stay empty.
    """

    def __init__(
        self,
        plan: Plan,
        behaviour: WorkerBehaviour | None = None,
        on_publish: Callable[[int], Exception | None] = lambda _: None,
        real_clock: Callable[[], float] = lambda: 0.0,
        keep_history: bool = True,
    ) -> None:
        self.plan = plan
        self.behaviour = behaviour or WorkerBehaviour()
        self.on_publish = on_publish
        self.published: list[tuple[int, frozenset[int]]] = []
        self.submitted: list[tuple[int, Task]] = []
        self.started = 0
        self._keep_history = keep_history
        self._real_clock = real_clock
        self._returned_s = real_clock()
        self._waited_s = 0.0
        self._alive: set[int] = set()
        self._agenda: list[tuple[float, int, Event]] = []
        self._entries = 0

    @property
    def now_s(self) -> float:
        """Simulated seconds, including the time that the driver takes."""
        return self._waited_s + self._real_clock() - self._returned_s

    def clock(self) -> float:
        """Return the simulated time, for the driver."""
        return self.now_s

    def start(self, worker: int) -> None:
        """Schedule a worker's start."""
        self.started += 1
        self._alive.add(worker)
        self._enter(self.behaviour.start_s, Ready(worker))
        if worker in self.behaviour.notices:
            self._enter(self.behaviour.notices[worker] - self.now_s, Leaving(worker))
        if worker in self.behaviour.deaths:
            self._enter(self.behaviour.deaths[worker] - self.now_s, Lost(worker, "node lost"))

    def submit(self, worker: int, task: Task, excluded: frozenset[int]) -> None:
        """Schedule the outcome of a task."""
        if self._keep_history:
            self.submitted.append((worker, task))
        behaviour = self.behaviour
        indices = task.trial or tuple(
            index for index in self.plan.indices(task.shard) if index not in excluded
        )
        duration_s = behaviour.sampling_s(worker, task.shard, len(indices))
        if worker in behaviour.frozen:
            return
        if not set(behaviour.deadly).isdisjoint(indices):
            self._enter(duration_s / 2, Lost(worker, "killed"))
        elif not set(behaviour.poison).isdisjoint(indices):
            self._enter(duration_s / 2, Failed(worker, task, RuntimeError("poison")))
        elif task.trial:
            self._enter(duration_s, Done(worker, task, None))
        else:
            self._enter(duration_s, Sampled(worker, task))
            published = self._publish(worker, task, excluded)
            self._enter(duration_s + behaviour.publish_s, published)

    def ping(self, worker: int) -> None:
        """Answer with a growing count, except for frozen workers.

        Raises:
            KeyError: the worker was stopped.
        """
        if worker not in self._alive:
            raise KeyError(worker)
        if worker not in self.behaviour.frozen:
            self._enter(0.0, Heartbeat(worker, int(self.now_s)))

    def stop(self, worker: int) -> None:
        """Drop a worker and all its events."""
        self._alive.discard(worker)

    def wait(self, timeout_s: float) -> list[Event]:
        """Advance to the next entry of the agenda, or by the timeout."""
        self._waited_s = self._next_s(self.now_s, timeout_s)
        self._returned_s = self._real_clock()
        events = []
        while self._agenda and self._agenda[0][0] <= self._waited_s:
            event = heapq.heappop(self._agenda)[2]
            if event.worker in self._alive:
                events.append(event)
                self._note(event)
        return events

    def _next_s(self, now_s: float, timeout_s: float) -> float:
        if not self._agenda:
            return now_s + timeout_s
        return max(now_s, min(self._agenda[0][0], now_s + timeout_s))

    def _note(self, event: Event) -> None:
        if isinstance(event, Lost):
            self._alive.discard(event.worker)
        if self._keep_history and isinstance(event, Done) and event.report is not None:
            missing = frozenset(event.report.commit.quarantined)
            self.published.append((event.task.shard, missing))

    def _publish(self, worker: int, task: Task, excluded: frozenset[int]) -> Event:
        error = self.on_publish(task.shard)
        if error is not None:
            return Failed(worker, task, error)
        file = StoredFile(name="none", sha256="", size=0)
        pairs = len(self.plan.indices(task.shard)) - len(excluded)
        commit = Commit(
            plan_sha256="",
            shard=task.shard,
            tar=file,
            index=file,
            pairs=pairs,
            quarantined=tuple(sorted(excluded)),
        )
        return Done(worker, task, Report(commit, sampling_s=1.0, waiting_s=0.0, made=True))

    def _enter(self, after_s: float, event: Event) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (self.now_s + after_s, self._entries, event))
