"""The driver: keeps a fleet of workers busy until every shard is committed. No Ray in here.

It holds no state that is not in the store as well: one that is killed is started again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from pipeline.dataset import layout
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import Plan, PlanMismatchError
from pipeline.dataset.quarantine import Quarantine, quarantined_samples, write_quarantine
from pipeline.generation import scheduling
from pipeline.generation.events import (
    Draining,
    Listener,
    Progress,
    Retry,
    SampleQuarantined,
    ShardFailed,
    ShardPublished,
    WorkerLeaving,
    WorkerLost,
)
from pipeline.generation.fleet import (
    Done,
    Event,
    Failed,
    Fleet,
    Heartbeat,
    Leaving,
    LoadFailed,
    Lost,
    Ready,
    Report,
    Sampled,
)
from pipeline.generation.ledger import Ledger
from pipeline.generation.scheduling import Assignment, Policy, Task
from pipeline.generation.summary import Work
from pipeline.publishing.publish import PublicationError
from pipeline.storage.store import StorageError, Store

# How long the driver waits for events before it looks at the clock again.
_LOOK_S = 1.0
# Starts that may fail in a row, or one more than there are workers: a node that is taken away takes
# all that were loading there, which says nothing about the teacher.
_MAX_FAILED_STARTS = 3
# When this many shards fail before any is made, the cause lies elsewhere.
_MAX_FAILED_FIRST = 3


class GenerationError(ValueError):
    """A run that cannot go on; what is committed stays."""


def open_ledger(store: Store, plan: Plan, policy: Policy, rank: int = 0, runs: int = 1) -> Ledger:
    """Read from the store what is left to do.

    Args:
        rank: of this run among `runs` on the same dataset: each begins somewhere else, so that none
            makes what another is about to make.
    """
    done = set(committed_shards(store))
    begun = set(store.keys(layout.SHARDS))
    given_up: dict[int, set[int]] = {}
    for index in quarantined_samples(store):
        given_up.setdefault(index // plan.shard_size, set()).add(index)
    left = [shard for shard in range(plan.num_shards) if shard not in done]
    if rank == 1:
        left.reverse()
    elif rank > 1:
        start = rank * len(left) // runs
        left = left[start:] + left[:start]
    queue = deque(Task(shard, begun=layout.shard_key(shard) in begun) for shard in left)
    return Ledger(plan, policy, queue, given_up, finished=done)


class Driver:
    """One run over the open shards of a plan."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        fleet: Fleet,
        num_workers: int,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.fleet = fleet
        self.num_workers = num_workers
        self.listener = listener
        self.clock = clock
        self.work = Work()
        self._samples_done = sum(len(ledger.plan.indices(shard)) for shard in ledger.finished)
        self._num_started = 0
        self._failed_starts = 0
        self._started_s = self._alive_s = self._pinged_s = self._watched_s = clock()
        self._limit = scheduling.quarantine_limit(ledger.plan.samples, ledger.policy)

    def run(self, stop: Callable[[], bool]) -> bool:
        """Work until all shards are done, or until `stop` says so and the running ones are done.

        Returns:
            False if it was stopped before all shards were done.

        Raises:
            GenerationError: workers do not start, or too many samples are given up.
            StorageError, PlanMismatchError: a worker met one.
        """
        while not self.ledger.done:
            if stop():
                return self._drain()
            self._start_workers()
            for assignment in self._next_assignments():
                self.fleet.submit(
                    assignment.worker,
                    assignment.task,
                    self.ledger.excluded(assignment.task.shard),
                )
                self.ledger.assigned(assignment, self.clock())
            self._handle(self.fleet.wait(_LOOK_S))
            self._check_failures()
            self._watch()
        return True

    def _next_assignments(self) -> list[Assignment]:
        chosen = self.ledger.next_assignments(self.clock())
        while any([self._is_made_elsewhere(assignment.task) for assignment in chosen]):
            chosen = self.ledger.next_assignments(self.clock())
        return chosen

    def _is_made_elsewhere(self, task: Task) -> bool:
        """Tell whether another run on the same dataset has published a task's shard meanwhile."""
        if task.trial or not self.store.exists(layout.commit_key(task.shard)):
            return False
        if self.ledger.made_elsewhere(task):
            self._samples_done += len(self.ledger.plan.indices(task.shard))
            self._report_progress()
        return True

    def _drain(self) -> bool:
        """Let running tasks finish, for as long as the platform lets a stopped process live."""
        until_s = self.clock() + self.ledger.policy.grace_s
        self.ledger.queue.clear()
        self.listener(Draining(self.ledger.policy.grace_s))
        while not self.ledger.done and self.clock() < until_s:
            self._handle(self.fleet.wait(min(_LOOK_S, max(until_s - self.clock(), 0.0))))
            self.ledger.queue.clear()
        return False

    def _start_workers(self) -> None:
        # One that leaves is replaced now: its replacement takes as long to load as it has left.
        alive = sum(not worker.leaving for worker in self.ledger.workers.values())
        needed = scheduling.workers_to_start(alive, self.num_workers, self.ledger.open_tasks)
        for _ in range(needed):
            number = self._num_started
            self._num_started += 1
            self.ledger.started(number)
            self.fleet.start(number)

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            # A worker that was stopped in the meantime has nothing to say any more.
            if event.worker in self.ledger.workers:
                self._handle_one(event)

    def _handle_one(self, event: Event) -> None:
        now_s = self.clock()
        match event:
            case Ready(worker):
                self._failed_starts = 0
                self.ledger.ready(worker, now_s)
            case LoadFailed(_, error):
                raise _as_user_error(error, "a worker cannot load the teacher")
            case Lost(worker, reason):
                self._lose(worker, reason)
            case Sampled(worker, task):
                self.ledger.sampled(worker, task)
            case Done(worker, task, report):
                self._finish(worker, task, report, now_s)
            case Failed(worker, task, error):
                self._fail(worker, task, error)
            case Heartbeat(worker, progress):
                self.ledger.progressed(worker, progress, now_s)
            case Leaving(worker):
                self.ledger.leaving(worker)
                self.listener(WorkerLeaving(worker))

    def _finish(self, worker: int, task: Task, report: Report | None, now_s: float) -> None:
        if report is None:
            self.ledger.tried(worker, task)
        elif self.ledger.published(worker, task, now_s, report.made):
            self.work.add(report)
            self._samples_done += len(self.ledger.plan.indices(task.shard))
            self._report_shard(worker, report)

    def _report_shard(self, worker: int, report: Report) -> None:
        self.listener(
            ShardPublished(
                shard=report.commit.shard,
                worker=worker,
                made=report.made,
                pairs=report.commit.pairs,
                size_bytes=report.commit.size_bytes,
                sampling_s=report.sampling_s,
                waiting_s=report.waiting_s,
            )
        )
        self._report_progress()

    def _report_progress(self) -> None:
        rate = self.work.pairs_made / max(self.clock() - self._started_s, 1e-9)
        left = self.ledger.plan.samples - self._samples_done
        self.listener(
            Progress(
                done=self._samples_done,
                total=self.ledger.plan.samples,
                pairs_per_s=rate,
                left_s=left / rate if rate else None,
                workers=len(self.ledger.workers),
            )
        )

    def _fail(self, worker: int, task: Task, error: Exception) -> None:
        if isinstance(error, StorageError | PlanMismatchError):
            raise error
        if isinstance(error, PublicationError):
            self.ledger.give_up_shard(worker, task, str(error))
            self.listener(ShardFailed(task.shard, str(error)))
            return
        reason = describe_error(error)
        self.listener(Retry(task.shard, reason))
        record = self.ledger.failed_task(worker, task, reason)
        self._quarantine([] if record is None else [record])
        # An error may leave its process unsound (a CUDA fault does): the next task gets a new one.
        self.fleet.stop(worker)
        self.ledger.lost(worker, reason, counts=False)

    def _lose(self, worker: int, reason: str) -> None:
        state = self.ledger.workers[worker]
        self._failed_starts += not (state.ready or state.leaving)
        self.listener(WorkerLost(worker, reason))
        self.ledger.counts["workers_lost"] += 1
        # A machine that gave notice did not go because of what ran there.
        self._quarantine(self.ledger.lost(worker, reason, counts=not state.leaving))
        if self._failed_starts >= max(_MAX_FAILED_STARTS, self.num_workers + 1):
            raise GenerationError(
                f"{self._failed_starts} workers in a row died while they loaded the teacher: "
                f"{reason}; is there memory enough for each?"
            )

    def _check_failures(self) -> None:
        """Stop where no shard was ever made: the others would fail in turn, each many times."""
        failed, none_made = self.ledger.failed, len(self.ledger.failed) == len(self.ledger.finished)
        if len(failed) >= _MAX_FAILED_FIRST and none_made:
            raise GenerationError(f"stopped before all were tried: {list_failures(failed)}")

    def _quarantine(self, records: Iterable[Quarantine]) -> None:
        for record in records:
            write_quarantine(self.store, record)
            self.listener(SampleQuarantined(record.index, record.reason))
            if self.ledger.num_given_up > self._limit:
                raise GenerationError(
                    f"more than {self._limit} samples were given up, so that something else must "
                    f"be wrong; the last reason: {record.reason}. Once the cause is fixed, remove "
                    f"the records in {self.store.url}/{layout.QUARANTINE} to have them tried again"
                )

    def _watch(self) -> None:
        """Ask workers for signs of life, and replace those that have shown none for long."""
        now_s, policy = self.clock(), self.ledger.policy
        if now_s - self._watched_s < _LOOK_S:
            return
        self._watched_s = now_s
        workers = list(self.ledger.workers.values())
        for number in scheduling.stalled(workers, now_s, policy.stall_s):
            self.fleet.stop(number)
            self._lose(number, f"no progress for {policy.stall_s:.0f} s")
        if now_s - self._pinged_s >= policy.heartbeat_s:
            self._pinged_s = now_s
            for worker in list(self.ledger.workers.values()):  # without those just replaced
                if worker.running:
                    self.fleet.ping(worker.number)
        if any(worker.ready for worker in workers):
            self._alive_s = now_s
        elif now_s - self._alive_s > policy.start_timeout_s:
            raise GenerationError(
                f"no worker could be started for {policy.start_timeout_s:.0f} s: has the cluster "
                "the processors and GPUs that one worker asks for?"
            )


def list_failures(failed: Mapping[int, str]) -> str:
    """Say how many shards failed, and why the first of them did."""
    first = min(failed)
    return (
        f"{len(failed)} shards could not be published; those that were stay, and the same command, "
        f"started again, tries only the others. Shard {first}: {failed[first]}"
    )


def describe_error(error: BaseException) -> str:
    """Say in one line what an error was."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _as_user_error(error: Exception, what: str) -> ValueError:
    if isinstance(error, ValueError):
        return error
    return GenerationError(f"{what}: {describe_error(error)}")
