"""A fleet in virtual time: the driver's decisions are tested without processes or waiting."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping

from pipeline.commits import Commit, StoredFile
from pipeline.fleet import Beat, Done, Failed, Lost, News, Ready, Report, Sampled
from pipeline.plan import Plan
from pipeline.scheduling import Task

START_S = 2.0
PUBLISH_S = 0.5


class SimulatedFleet:
    """Workers that need `sample_s` per sample, times their entry in `slowness`.

    `deadly` samples kill the worker that makes them, `poison` ones raise; `deaths` maps workers to
    the time at which they die anyway; workers in `frozen` never answer once they have a task;
    `on_publish` may return an error in place of a published shard.
    """

    def __init__(
        self,
        plan: Plan,
        sample_s: float = 1.0,
        deadly: Collection[int] = (),
        poison: Collection[int] = (),
        slowness: Mapping[int, float] | None = None,
        deaths: Mapping[int, float] | None = None,
        frozen: Collection[int] = (),
        on_publish: Callable[[int], Exception | None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.sample_s = sample_s
        self.deadly, self.poison, self.frozen = set(deadly), set(poison), set(frozen)
        self.slowness = slowness or {}
        self.deaths = deaths or {}
        self.on_publish = on_publish
        self.now_s = 0.0
        self.published: list[tuple[int, frozenset[int]]] = []
        self.submitted: list[tuple[int, Task]] = []
        self.started = 0
        self._alive: set[int] = set()
        self._agenda: list[tuple[float, int, News]] = []
        self._entries = 0

    def clock(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def start(self, worker: int) -> None:
        """Begin a worker's START_S."""
        self.started += 1
        self._alive.add(worker)
        self._enter(START_S, Ready(worker))
        if worker in self.deaths:
            self._enter(self.deaths[worker] - self.now_s, Lost(worker, "node lost"))

    def submit(self, worker: int, task: Task, excluded: frozenset[int]) -> None:
        """Plan what will become of a task."""
        self.submitted.append((worker, task))
        indices = task.trial or tuple(
            index for index in self.plan.indices(task.shard) if index not in excluded
        )
        duration_s = len(indices) * self.sample_s * self.slowness.get(worker, 1.0)
        if worker in self.frozen:
            return
        if self.deadly & set(indices):
            self._enter(duration_s / 2, Lost(worker, "killed"))
        elif self.poison & set(indices):
            self._enter(duration_s / 2, Failed(worker, task, RuntimeError("poison")))
        elif task.trial:
            self._enter(duration_s, Done(worker, task, None))
        else:
            self._enter(duration_s, Sampled(worker, task))
            self._enter(duration_s + PUBLISH_S, self._publish(worker, task, excluded))

    def ask(self, worker: int) -> None:
        """Answer with a count that grows, except on frozen workers."""
        if worker not in self.frozen:
            self._enter(0.0, Beat(worker, int(self.now_s)))

    def stop(self, worker: int) -> None:
        """Drop a worker and all its news."""
        self._alive.discard(worker)

    def wait(self, timeout_s: float) -> list[News]:
        """Go on to the next entry of the agenda, or by the timeout."""
        until_s = self.now_s + timeout_s
        if not self._agenda or self._agenda[0][0] > until_s:
            self.now_s = until_s
            return []
        self.now_s = max(self.now_s, self._agenda[0][0])
        news = []
        while self._agenda and self._agenda[0][0] <= self.now_s:
            each = heapq.heappop(self._agenda)[2]
            if each.worker in self._alive:
                news.append(each)
                self._note(each)
        return news

    def _note(self, news: News) -> None:
        if isinstance(news, Lost):
            self._alive.discard(news.worker)
        if isinstance(news, Done) and news.report is not None:
            missing = frozenset(news.report.commit.quarantined)
            self.published.append((news.task.shard, missing))

    def _publish(self, worker: int, task: Task, excluded: frozenset[int]) -> News:
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

    def _enter(self, after_s: float, news: News) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (self.now_s + after_s, self._entries, news))
