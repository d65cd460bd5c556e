"""Which worker does what next: pure decisions on frozen snapshots, without Ray, clock or store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Policy:
    """How a run handles failures, and how much of its node a worker uses.

    `attempts` failures make a shard suspect, and a sample that fails as often alone is given up.
    `max_unpublished` bounds a worker's memory, in shards. A shard is duplicated once it has taken
    `duplicate_after` times the median; a worker without progress for `stall_s` is replaced. The run
    stops when more than `max_quarantined_share` of the samples (and more than `min_quarantined`)
    are given up: then something else must be wrong.
    """

    attempts: int = 3
    max_unpublished: int = 2
    duplicate_after: float = 1.5
    stall_s: float = 1800.0
    heartbeat_s: float = 10.0
    grace_s: float = 20.0
    start_timeout_s: float = 1800.0
    max_quarantined_share: float = 0.01
    min_quarantined: int = 8
    cpus_per_worker: float = 1.0


@dataclass(frozen=True)
class Task:
    """Make and publish a shard, or, with `trial`, only test whether these samples can be made.

    `failures` counts failed attempts at this very task, `rounds` counts bisections that found
    nothing; `begun` means that part of the shard may be in the store already.
    """

    shard: int
    trial: tuple[int, ...] = ()
    failures: int = 0
    rounds: int = 0
    begun: bool = False

    @property
    def alone(self) -> bool:
        """Whether it needs a worker of its own, so that a crash has only one possible cause."""
        return bool(self.trial) or self.failures > 0 or self.rounds > 0


@dataclass(frozen=True)
class Running:
    """A task running on a worker; once `sampled`, only encoding and upload are left."""

    task: Task
    started_s: float
    sampled: bool = False


@dataclass(frozen=True)
class WorkerState:
    """What the driver knows of one worker.

    `progress` counts everything that it has done so far; one that is `leaving` gets no more work.
    """

    number: int
    ready: bool = False
    running: tuple[Running, ...] = ()
    progress: int = 0
    progress_s: float = 0.0
    leaving: bool = False

    def can_take(self, max_unpublished: int) -> bool:
        """Tell whether its sampling thread is free and its memory not full."""
        if not self.ready or self.leaving or len(self.running) >= max_unpublished:
            return False
        return all(running.sampled and not running.task.alone for running in self.running)


@dataclass(frozen=True)
class Assignment:
    """A task for a worker."""

    worker: int
    task: Task


def assign(
    queue: Iterable[Task], workers: Iterable[WorkerState], max_unpublished: int
) -> list[Assignment]:
    """Assign tasks from the head of the queue to workers that can take one, idle ones first.

    A task that must run alone reserves a busy worker, or it might wait for ever.
    """
    free = sorted(
        (worker for worker in workers if worker.can_take(max_unpublished)),
        key=lambda worker: -len(worker.running),
    )
    chosen = []
    for task in queue:
        if not free:
            break
        worker = free.pop()
        if not (task.alone and worker.running):
            chosen.append(Assignment(worker.number, task))
    return chosen


def duplicate(
    workers: Sequence[WorkerState], median_s: float, now_s: float, duplicate_after: float
) -> list[Assignment]:
    """Assign tasks that take far longer than the median to idle workers as well, oldest first.

    This makes sense only when the queue is empty. The first commit wins; both make the same bytes.
    """
    idle = [
        worker.number
        for worker in workers
        if worker.ready and not worker.running and not worker.leaving
    ]
    everything = [running for worker in workers for running in worker.running]
    copies = Counter(running.task for running in everything)
    slow = [
        running
        for running in everything
        if now_s - running.started_s > duplicate_after * median_s
        and copies[running.task] == 1
        and not running.task.alone
    ]
    slow.sort(key=lambda running: running.started_s)
    pairs = zip(idle, slow, strict=False)
    return [Assignment(worker, running.task) for worker, running in pairs]


def stalled(workers: Iterable[WorkerState], now_s: float, stall_s: float) -> list[int]:
    """List the workers that have work but have made no progress for `stall_s`."""
    return [
        worker.number
        for worker in workers
        if worker.running and now_s - worker.progress_s > stall_s
    ]


def workers_to_start(alive: int, wanted: int, open_tasks: int) -> int:
    """Return how many workers to start: as many as wanted, but none without a task."""
    return max(min(wanted, open_tasks) - alive, 0)


def after_failure(task: Task, healthy: Sequence[int], attempts: int) -> tuple[Task, ...]:
    """Return the tasks to do after a task has failed; none if its sample is to be given up.

    A shard is tried `attempts` times, then split into halves that are only tested. Halves that fail
    are split again, down to a single sample, which is tried `attempts` times before it is given up.

    Args:
        healthy: the shard's samples that are not given up yet.
    """
    if len(task.trial) <= 1 and task.failures + 1 < attempts:
        return (replace(task, failures=task.failures + 1, begun=True),)
    if len(task.trial) == 1:
        return ()
    suspects = task.trial or tuple(healthy)
    middle = len(suspects) // 2
    halves = (suspects[:middle], suspects[middle:])
    return tuple(Task(task.shard, half, rounds=task.rounds) for half in halves if half)


def quarantine_limit(samples: int, policy: Policy) -> int:
    """Return how many samples may be given up before the run stops."""
    return max(policy.min_quarantined, int(samples * policy.max_quarantined_share))
