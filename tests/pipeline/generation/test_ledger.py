"""The driver's books, entry by entry; how they are kept in a run is in test_driver."""

from __future__ import annotations

from collections import deque

import pytest

from pipeline.dataset.quarantine import MAX_REASON_CHARS, Quarantine
from pipeline.generation.ledger import Ledger
from pipeline.generation.scheduling import Assignment, Policy, Task
from tests.standins.standin_teacher import make_plan


@pytest.fixture
def ledger() -> Ledger:
    """Three shards to make and two workers that are ready."""
    plan = make_plan()
    ledger = Ledger(plan, Policy(), deque(Task(shard) for shard in range(3)), given_up={})
    for worker in (0, 1):
        ledger.started(worker)
        ledger.ready(worker, now_s=0.0)
    return ledger


def assign(ledger: Ledger, now_s: float = 0.0) -> list[Assignment]:
    assignments = ledger.next_assignments(now_s)
    for assignment in assignments:
        ledger.assigned(assignment, now_s)
    return assignments


def test_tasks_are_open_until_they_are_published(ledger: Ledger) -> None:
    assert ledger.open_tasks == 3
    first, second = assign(ledger)
    assert ledger.open_tasks == 3 and assign(ledger) == []
    ledger.sampled(first.worker, first.task)
    (third,) = assign(ledger)
    assert third.worker == first.worker and not ledger.queue
    for assignment in (first, second, third):
        assert ledger.published(assignment.worker, assignment.task, now_s=5.0, made=True)
    assert ledger.done and ledger.open_tasks == 0


def test_the_second_copy_of_a_shard_does_not_count(ledger: Ledger) -> None:
    first, second = assign(ledger)
    assert ledger.published(second.worker, second.task, now_s=1.0, made=True)
    (third,) = assign(ledger, now_s=1.0)
    assert ledger.published(third.worker, third.task, now_s=2.0, made=True)
    (copy,) = assign(ledger, now_s=9.0)
    assert copy == Assignment(second.worker, first.task) and ledger.counts["duplicates"] == 1
    assert ledger.published(copy.worker, copy.task, now_s=10.0, made=True) and ledger.done
    assert not ledger.published(first.worker, first.task, now_s=11.0, made=True)


def test_a_lost_workers_tasks_come_back_first(ledger: Ledger) -> None:
    first, _ = assign(ledger)
    assert ledger.lost(first.worker, "killed") == []
    assert list(ledger.queue) == [Task(first.task.shard, failures=1, begun=True), Task(2)]
    assert ledger.counts["retries"] == 1 and ledger.open_tasks == 3


def test_a_loss_that_does_not_count_is_no_failure_of_its_tasks(ledger: Ledger) -> None:
    first, _ = assign(ledger)
    assert ledger.lost(first.worker, "replaced", counts=False) == []
    assert ledger.queue[0] == Task(first.task.shard, begun=True)
    assert ledger.counts["retries"] == 0


def test_the_sample_that_fails_alone_is_given_up(ledger: Ledger) -> None:
    poison, reason = 5, "poison " * 200
    records: list[Quarantine] = []
    while assignments := assign(ledger):
        for worker, task in ((assignment.worker, assignment.task) for assignment in assignments):
            samples = set(task.trial or ledger.plan.indices(task.shard))
            if poison in samples - ledger.excluded(task.shard):
                records += filter(None, [ledger.failed_task(worker, task, reason)])
            elif task.trial:
                ledger.tried(worker, task)
            else:
                ledger.published(worker, task, now_s=1.0, made=True)
    (record,) = records
    assert (record.index, record.shard, record.attempts) == (5, 0, 3)
    assert record.reason == reason[:MAX_REASON_CHARS]
    assert ledger.excluded(0) == {5} and ledger.num_given_up == 1
    assert ledger.done and ledger.finished == {0, 1, 2} and not ledger.failed


def test_a_shard_that_cannot_be_published_is_left_out(ledger: Ledger) -> None:
    first, _ = assign(ledger)
    ledger.give_up_shard(first.worker, first.task, "its name is taken")
    assert ledger.failed == {first.task.shard: "its name is taken"}
    assert first.task.shard in ledger.finished and ledger.open_tasks == 2


def two_copies(ledger: Ledger) -> tuple[Assignment, Assignment]:
    """Finish all shards but one, of which both workers make a copy."""
    first, other = assign(ledger)
    ledger.published(other.worker, other.task, now_s=1.0, made=True)
    (third,) = assign(ledger, now_s=1.0)
    ledger.published(third.worker, third.task, now_s=2.0, made=True)
    (second,) = ledger.next_assignments(now_s=100.0)
    assert second.task == first.task and second.worker != first.worker
    return first, second


def test_a_shard_that_a_copy_here_has_committed_was_not_made_elsewhere(ledger: Ledger) -> None:
    first, second = two_copies(ledger)
    # The store shows the first copy's record, whose report is on its way.
    assert not ledger.made_elsewhere(second.task) and not ledger.done
    assert ledger.published(first.worker, first.task, now_s=101.0, made=True) and ledger.done


@pytest.mark.parametrize("made_by", ["first", "second", "another run"])
def test_of_two_copies_the_one_that_made_the_shard_is_counted(ledger: Ledger, made_by: str) -> None:
    first, second = two_copies(ledger)
    ledger.assigned(second, now_s=100.0)
    reports = [
        ledger.published(copy.worker, copy.task, now_s=101.0, made=name == made_by)
        for name, copy in (("first", first), ("second", second))
    ]
    assert reports == [made_by == "first", made_by != "first"] and ledger.done
