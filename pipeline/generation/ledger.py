"""The driver's state: queue, workers, attempts. All of it can be rebuilt from the store."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from itertools import islice

from pipeline.dataset.plan import Plan
from pipeline.dataset.quarantine import MAX_REASON_CHARS, Quarantine
from pipeline.generation import scheduling
from pipeline.generation.scheduling import Assignment, Policy, Running, Task, WorkerState

# Number of latest shards that determine the usual duration.
_RECENT = 64
# Looking for slow shards goes through all workers, which takes too long to do for each event.
_DUPLICATE_EVERY_S = 1.0
# How often a shard may fail as a whole, be tried in parts and come back.
_MAX_ROUNDS = 2


@dataclass
class Ledger:
    """What is left to do and who is doing it. Times are seconds of one monotonic clock."""

    plan: Plan
    policy: Policy
    queue: deque[Task]
    given_up: dict[int, set[int]]
    workers: dict[int, WorkerState] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _free: dict[int, WorkerState] = field(default_factory=dict)
    _num_running: int = 0
    _duplicated_s: float = float("-inf")
    _open_trials: Counter[int] = field(default_factory=Counter)
    _poisoned: set[int] = field(default_factory=set)
    _reasons: dict[int, str] = field(default_factory=dict)
    _durations_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def open_tasks(self) -> int:
        """Number of tasks that are waiting or running."""
        return len(self.queue) + self._num_running

    @property
    def num_given_up(self) -> int:
        """Number of samples that were given up, including those of earlier runs."""
        return sum(map(len, self.given_up.values()))

    @property
    def done(self) -> bool:
        """Whether no shard is left to make; duplicates may still be running."""
        return not self.queue and not any(
            running.task.shard not in self.finished
            for worker in self.workers.values()
            for running in worker.running
        )

    def next_assignments(self, now_s: float) -> list[Assignment]:
        """Decide what to assign now; near the end this includes second copies of slow shards."""
        free = list(self._free.values())
        if not free:
            return []
        if self.queue:
            # As many tasks as workers: a task that must run alone reserves one, even a busy one.
            head = islice(self.queue, len(free))
            return scheduling.assign(head, free, self.policy.max_unpublished)
        if not self._durations_s or now_s - self._duplicated_s < _DUPLICATE_EVERY_S:
            return []
        self._duplicated_s = now_s
        median_s = statistics.median(self._durations_s)
        workers = list(self.workers.values())
        chosen = scheduling.duplicate(workers, median_s, now_s, self.policy.duplicate_after)
        self.counts["duplicates"] += len(chosen)
        return chosen

    def started(self, worker: int) -> None:
        """Record that a worker was requested."""
        self._put(WorkerState(worker))

    def ready(self, worker: int, now_s: float) -> None:
        """Record that a worker has loaded its teacher."""
        self._put(WorkerState(worker, ready=True, progress_s=now_s))

    def assigned(self, assignment: Assignment, now_s: float) -> None:
        """Record that a task was assigned."""
        task, state = assignment.task, self.workers[assignment.worker]
        if task in self.queue:
            self.queue.remove(task)
        running = (*state.running, Running(task, now_s))
        self._put(replace(state, running=running, progress_s=now_s))
        self._num_running += 1

    def sampled(self, worker: int, task: Task) -> None:
        """Record that a task's samples are made: its worker can start another."""
        state = self.workers[worker]
        running = tuple(
            replace(other, sampled=True) if other.task == task else other for other in state.running
        )
        self._put(replace(state, running=running))

    def progressed(self, worker: int, progress: int, now_s: float) -> None:
        """Record a worker's answer to how much it has done."""
        state = self.workers[worker]
        if progress != state.progress:
            self._put(replace(state, progress=progress, progress_s=now_s))

    def leaving(self, worker: int) -> None:
        """Record that a worker's machine is about to go: it gets no more work."""
        self._put(replace(self.workers[worker], leaving=True))

    def published(self, worker: int, task: Task, now_s: float, made: bool) -> bool:
        """Record that a shard is committed; return False where another copy's report counts.

        Args:
            made: whether this copy created the record. If not, a copy that still runs here may be
                the one that did, and its report is waited for.
        """
        running = self._take(worker, task)
        if task.shard in self.finished or (not made and self.is_running(task.shard)):
            return False
        self.finished.add(task.shard)
        self._durations_s.append(now_s - running.started_s)
        return True

    def is_running(self, shard: int) -> bool:
        """Tell whether a worker of this run is at work on a whole shard."""
        return any(
            running.task.shard == shard and not running.task.trial
            for worker in self.workers.values()
            for running in worker.running
        )

    def made_elsewhere(self, task: Task) -> bool:
        """Record that another run has committed a task's shard; False where that is known."""
        if task in self.queue:
            self.queue.remove(task)
        # A second copy may be asked for while the report of the first is on its way.
        if task.shard in self.finished or self.is_running(task.shard):
            return False
        self.finished.add(task.shard)
        return True

    def tried(self, worker: int, task: Task) -> None:
        """Record that a trial succeeded: its samples can be made."""
        self._take(worker, task)
        self._close_trial(task, ())

    def failed_task(self, worker: int, task: Task, reason: str) -> Quarantine | None:
        """Record that a task failed; return the record of the sample that is given up, if any."""
        self._take(worker, task)
        return self._follow_up(task, reason)

    def lost(self, worker: int, reason: str, counts: bool = True) -> list[Quarantine]:
        """Record that a worker is gone with all its tasks.

        Args:
            counts: whether the loss counts as a failure of its tasks, which may have caused it.

        Returns:
            The records of the samples that are given up.
        """
        state = self.workers.pop(worker)
        self._free.pop(worker, None)
        self._num_running -= len(state.running)
        records = []
        for task in (running.task for running in state.running):
            if counts:
                records.append(self._follow_up(task, reason))
            elif task.shard not in self.finished and not self._is_running(task):
                self.queue.appendleft(replace(task, begun=True))
        return [record for record in records if record is not None]

    def give_up_shard(self, worker: int, task: Task, reason: str) -> None:
        """Record that no worker can publish a shard; the run continues without it."""
        self._take(worker, task)
        if task.shard not in self.finished:
            self.finished.add(task.shard)
            self.failed[task.shard] = reason

    def excluded(self, shard: int) -> frozenset[int]:
        """Return the samples of a shard that were given up."""
        return frozenset(self.given_up.get(shard, ()))

    def _take(self, worker: int, task: Task) -> Running:
        state = self.workers[worker]
        taken = next(running for running in state.running if running.task == task)
        rest = tuple(running for running in state.running if running.task != task)
        self._put(replace(state, running=rest))
        self._num_running -= 1
        return taken

    def _put(self, state: WorkerState) -> None:
        self.workers[state.number] = state
        # Kept separately: checking a thousand busy workers for each event would take too long.
        if state.can_take(self.policy.max_unpublished):
            self._free[state.number] = state
        else:
            self._free.pop(state.number, None)

    def _is_running(self, task: Task) -> bool:
        return any(
            running.task == task for worker in self.workers.values() for running in worker.running
        )

    def _follow_up(self, task: Task, reason: str) -> Quarantine | None:
        shard = task.shard
        if shard in self.finished or self._is_running(task):
            return None
        self.counts["retries"] += 1
        self._reasons[shard] = reason
        given_up = self.excluded(shard)
        healthy = [index for index in self.plan.indices(shard) if index not in given_up]
        follow_ups = scheduling.after_failure(task, healthy, self.policy.attempts)
        # To the front: what failed once must not wait until the very end.
        self.queue.extendleft(reversed(follow_ups))
        if not task.trial:
            self._open_bisection(task, follow_ups)
            return None
        record = None if follow_ups else self._give_up_sample(task, reason)
        self._close_trial(task, follow_ups)
        return record

    def _open_bisection(self, task: Task, follow_ups: tuple[Task, ...]) -> None:
        if not follow_ups:
            self._fail(task.shard)
        elif follow_ups[0].trial:
            self._open_trials[task.shard] = len(follow_ups)

    def _close_trial(self, task: Task, follow_ups: tuple[Task, ...]) -> None:
        shard = task.shard
        self._open_trials[shard] += len(follow_ups) - 1
        if self._open_trials[shard] > 0:
            return
        rounds = 0 if shard in self._poisoned else task.rounds + 1
        self._poisoned.discard(shard)
        if rounds < _MAX_ROUNDS:
            self.queue.appendleft(Task(shard, rounds=rounds, begun=True))
        else:
            self._fail(shard)

    def _give_up_sample(self, task: Task, reason: str) -> Quarantine:
        (index,) = task.trial
        self.given_up.setdefault(task.shard, set()).add(index)
        self._poisoned.add(task.shard)
        self.counts["quarantined"] += 1
        return Quarantine(
            index=index,
            shard=task.shard,
            attempts=task.failures + 1,
            reason=reason[:MAX_REASON_CHARS],
        )

    def _fail(self, shard: int) -> None:
        self.finished.add(shard)
        self.failed[shard] = (
            "it fails as a whole, although each of its samples can be made alone: "
            + self._reasons[shard]
        )
