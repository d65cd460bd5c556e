"""Scheduling decisions, one by one."""

from __future__ import annotations

from itertools import pairwise

from pipeline.generation.scheduling import (
    Assignment,
    Policy,
    Running,
    Task,
    WorkerState,
    after_failure,
    assign,
    duplicate,
    quarantine_limit,
    stalled,
    workers_to_start,
)


def worker(number: int, *running: Running, ready: bool = True) -> WorkerState:
    return WorkerState(number, ready=ready, running=running)


def sampling(shard: int, started_s: float = 0.0) -> Running:
    return Running(Task(shard), started_s)


def publishing(shard: int, started_s: float = 0.0) -> Running:
    return Running(Task(shard), started_s, sampled=True)


def test_tasks_go_to_workers_that_can_sample() -> None:
    workers = [
        worker(0, sampling(10)),
        worker(1, publishing(11)),
        worker(2, publishing(12), publishing(13)),
        worker(3, ready=False),
        worker(4),
    ]
    chosen = assign([Task(1), Task(2), Task(3)], workers, max_unpublished=2)
    assert chosen == [Assignment(4, Task(1)), Assignment(1, Task(2))]


def test_a_suspect_waits_for_an_idle_worker_and_reserves_one() -> None:
    suspect = Task(1, failures=1)
    busy = [worker(0, publishing(11)), worker(1, publishing(12))]
    assert assign([suspect, Task(2), Task(3)], busy, 2) == [Assignment(0, Task(2))]
    assert assign([suspect], [worker(0)], 2) == [Assignment(0, suspect)]


def test_nothing_is_put_beside_a_suspect() -> None:
    suspect = Running(Task(1, failures=1), 0.0, sampled=True)
    assert assign([Task(2)], [worker(0, suspect)], 2) == []


def test_only_slow_single_tasks_are_duplicated_oldest_first() -> None:
    workers = [
        worker(0, sampling(1, started_s=0)),
        worker(1, sampling(2, started_s=5)),
        worker(2, sampling(3, started_s=90)),
        worker(3, Running(Task(4, trial=(1, 2)), 0.0)),
        worker(4, sampling(5, started_s=0)),
        worker(5, sampling(5, started_s=50)),
        worker(6),
        worker(7, publishing(6, started_s=2)),
    ]
    chosen = duplicate(workers, median_s=20, now_s=100, duplicate_after=1.5)
    assert chosen == [Assignment(6, Task(1))]
    chosen = duplicate([*workers, worker(8), worker(9), worker(10)], 20, 100, 1.5)
    assert [assignment.task.shard for assignment in chosen] == [1, 6, 2]


def test_stalled_workers_have_work_and_no_progress() -> None:
    busy = WorkerState(1, ready=True, running=(sampling(1),), progress_s=50)
    assert stalled([worker(0), busy], now_s=100, stall_s=60) == []
    assert stalled([worker(0), busy], now_s=111, stall_s=60) == [1]


def test_no_worker_without_a_task() -> None:
    assert workers_to_start(alive=0, wanted=8, open_tasks=3) == 3
    assert workers_to_start(alive=2, wanted=2, open_tasks=9) == 0
    assert workers_to_start(alive=3, wanted=4, open_tasks=1) == 0


def test_bisection_finds_the_sample() -> None:
    task, poison, trials = Task(0), 11, 0
    for _ in range(2):
        (task,) = after_failure(task, range(16), attempts=3)
        assert not task.trial and task.begun
    while len(task.trial) != 1:
        branches = after_failure(task, range(16), attempts=3)
        trials += len(branches)
        suspects = task.trial or tuple(range(16))
        assert sum((half.trial for half in branches), ()) == suspects
        assert all(a.trial[-1] < b.trial[0] for a, b in pairwise(branches))
        (task,) = [half for half in branches if poison in half.trial]
    assert task.trial == (poison,) and trials == 8
    for _ in range(2):
        (task,) = after_failure(task, range(16), attempts=3)
    assert after_failure(task, range(16), attempts=3) == ()


def test_bisection_leaves_out_what_is_given_up() -> None:
    branches = after_failure(Task(0, failures=2), [0, 3], attempts=3)
    assert [half.trial for half in branches] == [(0,), (3,)]
    assert after_failure(Task(0, failures=2), [], attempts=3) == ()


def test_quarantine_limit() -> None:
    assert quarantine_limit(100, Policy()) == 8
    assert quarantine_limit(30_000, Policy()) == 300
