"""The driver against a simulated fleet: nothing lost, nothing doubled, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset.plan import PlanMismatchError
from pipeline.dataset.quarantine import Quarantine, quarantined_samples, write_quarantine
from pipeline.generation.driver import Driver, GenerationError, open_ledger
from pipeline.generation.events import listener_of
from pipeline.generation.fleet import LoadFailed
from pipeline.generation.ledger import Ledger
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_fleet import PUBLISH_S, START_S, SimulatedFleet, WorkerBehaviour
from pipeline.publishing.publish import PublicationError
from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError
from tests.standins.standin_teacher import make_plan

POLICY = Policy(heartbeat_s=2.0, stall_s=60.0)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


def drive(
    store: LocalStore, fleet: SimulatedFleet, workers: int = 3, policy: Policy = POLICY
) -> Ledger:
    ledger = open_ledger(store, fleet.plan, policy)
    driver = Driver(store, ledger, fleet, workers, lambda *_, **__: None, fleet.clock)
    assert driver.run(lambda: False)
    return ledger


def shards_of(fleet: SimulatedFleet) -> list[int]:
    return sorted(shard for shard, _ in fleet.published)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_shard_is_made_once(store: LocalStore, workers: int) -> None:
    fleet = SimulatedFleet(make_plan(40, 8))
    ledger = drive(store, fleet, workers)
    assert shards_of(fleet) == [0, 1, 2, 3, 4]
    assert fleet.started == min(workers, 5) and not ledger.counts["retries"]


def test_sampling_goes_on_while_earlier_shards_are_published(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(40, 8))
    drive(store, fleet, workers=1)
    assert fleet.now_s == pytest.approx(START_S + 40 + PUBLISH_S)


def test_committed_shards_are_not_made_again(store: LocalStore) -> None:
    store.create("commits/00001.json", b"{}")
    fleet = SimulatedFleet(make_plan(40, 8))
    drive(store, fleet)
    assert shards_of(fleet) == [0, 2, 3, 4]


def test_what_another_run_commits_meanwhile_is_not_made_again(store: LocalStore) -> None:
    def other_run(shard: int) -> None:
        if shard == 0:
            for others in (3, 4):
                store.create(f"commits/{others:05d}.json", b"{}")

    fleet = SimulatedFleet(make_plan(40, 8), on_publish=other_run)
    events = []
    ledger = open_ledger(store, fleet.plan, POLICY)
    listener = listener_of(lambda name, **fields: events.append(fields.get("done")))
    assert Driver(store, ledger, fleet, 1, listener, fleet.clock).run(lambda: False)
    assert shards_of(fleet) == [0, 1, 2]
    assert max(filter(None, events)) == 40, "all samples are accounted for"


@pytest.mark.parametrize(
    ("rank", "runs", "order"),
    [(0, 3, [0, 1, 2, 3, 4]), (1, 3, [4, 3, 2, 1, 0]), (2, 3, [3, 4, 0, 1, 2])],
)
def test_each_run_begins_somewhere_else(
    store: LocalStore, rank: int, runs: int, order: list[int]
) -> None:
    ledger = open_ledger(store, make_plan(40, 8), POLICY, rank, runs)
    assert [task.shard for task in ledger.queue] == order


def test_a_lost_worker_is_replaced_and_its_shard_made_elsewhere(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(64, 8), WorkerBehaviour(deaths={0: 5.0, 1: 13.0}))
    ledger = drive(store, fleet, workers=2)
    assert shards_of(fleet) == list(range(8))
    assert ledger.counts["workers_lost"] == 2 and not ledger.counts["quarantined"]


def test_a_worker_that_is_about_to_leave_gets_no_new_shard(store: LocalStore) -> None:
    behaviour = WorkerBehaviour(notices={0: START_S + 3.0}, deaths={0: START_S + 30.0})
    fleet = SimulatedFleet(make_plan(64, 8), behaviour)
    drive(store, fleet, workers=2)
    assert shards_of(fleet) == list(range(8))
    assert len([task for worker, task in fleet.submitted if worker == 0]) == 1
    assert fleet.started == 3, "another takes its place before it is gone"


def test_losses_with_notice_count_against_no_shard(store: LocalStore) -> None:
    """Whoever takes shard 0 is given notice and lost, more often than a shard may fail."""
    lost = range(POLICY.attempts + 2)
    deaths = {worker: START_S + 4.0 + 7.0 * worker for worker in lost}
    notices = {worker: death_s - 1.0 for worker, death_s in deaths.items()}
    fleet = SimulatedFleet(make_plan(8, 8), WorkerBehaviour(deaths=deaths, notices=notices))
    ledger = drive(store, fleet, workers=1)
    assert shards_of(fleet) == [0] and not ledger.failed
    assert not ledger.counts["quarantined"] and not any(task.trial for _, task in fleet.submitted)
    without = SimulatedFleet(make_plan(8, 8), WorkerBehaviour(deaths=deaths))
    drive(LocalStore(store.root.with_name("other")), without, workers=1)
    assert any(task.trial for _, task in without.submitted), "else this shows nothing"


@pytest.mark.parametrize("kind", ["deadly", "poison"])
@pytest.mark.parametrize("bad", [{13}, {8, 15}, {0, 1, 2, 3, 4, 5, 6, 7}])
def test_only_poison_samples_are_quarantined(store: LocalStore, kind: str, bad: set[int]) -> None:
    fleet = SimulatedFleet(make_plan(32, 8), WorkerBehaviour(**{kind: bad}))  # type: ignore[arg-type]
    drive(store, fleet)
    assert shards_of(fleet) == [0, 1, 2, 3]
    assert frozenset().union(*(missing for _, missing in fleet.published)) == bad
    assert quarantined_samples(store) == bad
    first = Quarantine.model_validate_json(store.read(f"quarantine/{min(bad):09d}.json"))
    assert first.shard == min(bad) // 8 and first.attempts == 3


def test_quarantine_of_an_earlier_run_still_counts(store: LocalStore) -> None:
    drive(store, SimulatedFleet(make_plan(32, 8), WorkerBehaviour(poison={13})))
    again = SimulatedFleet(make_plan(32, 8), WorkerBehaviour(poison={13}))
    ledger = drive(store, again)
    assert (1, frozenset({13})) in again.published and not ledger.counts["retries"]


def test_a_shard_that_only_fails_as_a_whole_is_reported(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(32, 8), on_publish=_fail_on_shard(1, RuntimeError("memory")))
    ledger = drive(store, fleet)
    assert shards_of(fleet) == [0, 2, 3] and not ledger.counts["quarantined"]
    assert list(ledger.failed) == [1] and "memory" in ledger.failed[1]


def test_a_name_that_is_taken_is_reported_and_the_rest_is_made(store: LocalStore) -> None:
    taken = PublicationError("shards/00001.tar was there already")
    fleet = SimulatedFleet(make_plan(32, 8), on_publish=_fail_on_shard(1, taken))
    ledger = drive(store, fleet)
    assert shards_of(fleet) == [0, 2, 3] and ledger.failed == {1: str(taken)}
    assert not ledger.counts["retries"]


def test_a_shard_that_failed_gets_a_worker_for_itself(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(64, 8), WorkerBehaviour(sample_s=0.05, poison={9}))
    drive(store, fleet, workers=2)
    retries = [worker for worker, task in fleet.submitted if task.alone]
    assert len(retries) >= 8, "two retries, trials down to sample 9, three for it alone"
    # A worker whose task raised is replaced, so that no later task came to it.
    failing = [worker for worker, task in fleet.submitted if task.trial == (9,)]
    assert len(set(failing)) == 3


def test_stragglers_are_duplicated_and_the_first_commit_wins(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(80, 8), WorkerBehaviour(slowness={0: 10.0}))
    ledger = drive(store, fleet, workers=4)
    assert shards_of(fleet) == list(range(10))
    assert ledger.counts["duplicates"] == 1
    assert fleet.now_s < START_S + 80, "without a duplicate worker 0 alone takes 80 s"


def test_a_worker_without_progress_is_replaced(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(32, 8), WorkerBehaviour(frozen={1}))
    ledger = drive(store, fleet, workers=2, policy=Policy(stall_s=30.0, duplicate_after=100.0))
    assert shards_of(fleet) == [0, 1, 2, 3] and ledger.counts["workers_lost"] == 1


def test_slow_but_living_workers_are_left_alone(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(16, 8), WorkerBehaviour(sample_s=20.0))
    assert drive(store, fleet, workers=2).counts["workers_lost"] == 0


def test_drain_finishes_running_shards_only(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(80, 8))
    ledger = open_ledger(store, fleet.plan, POLICY)
    driver = Driver(store, ledger, fleet, 2, lambda *_, **__: None, fleet.clock)
    assert not driver.run(lambda: fleet.now_s > 15)
    assert len(fleet.published) == len(fleet.submitted) == 4


def test_drain_ends_with_the_grace_period(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(80, 8), WorkerBehaviour(sample_s=100.0))
    ledger = open_ledger(store, fleet.plan, POLICY)
    driver = Driver(store, ledger, fleet, 2, lambda *_, **__: None, fleet.clock)
    assert not driver.run(lambda: fleet.now_s > 15)
    assert fleet.now_s < 15 + POLICY.grace_s + 2


def test_many_given_up_samples_stop_the_run(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(200, 8), WorkerBehaviour(poison=set(range(200))))
    with pytest.raises(GenerationError, match="more than 8 samples were given up.*poison"):
        drive(store, fleet)


def test_samples_given_up_by_earlier_runs_count_too(store: LocalStore) -> None:
    plan = make_plan(200, 8)
    for index in range(8):
        write_quarantine(store, Quarantine(index=index, shard=0, attempts=3, reason="poison"))
    with pytest.raises(GenerationError, match=r"more than 8 samples .*remove the records in "):
        drive(store, SimulatedFleet(plan, WorkerBehaviour(poison={100})))


def test_workers_that_freeze_are_replaced_whenever_signs_of_life_are_due(store: LocalStore) -> None:
    # Heartbeats are asked for each second: also in the one in which a worker is given up.
    policy = Policy(heartbeat_s=1.0, stall_s=20.0)
    fleet = SimulatedFleet(make_plan(80, 8), WorkerBehaviour(frozen={0, 1, 2}))
    drive(store, fleet, policy=policy)
    assert shards_of(fleet) == list(range(10))


def test_a_run_stops_when_its_first_shards_all_fail(store: LocalStore) -> None:
    plan = make_plan(800, 8)
    fleet = SimulatedFleet(plan, on_publish=lambda _: RuntimeError("no codec"))
    with pytest.raises(GenerationError, match="stopped before all were tried: 3 shards.*no codec"):
        drive(store, fleet)
    tried = {task.shard for _, task in fleet.submitted}
    assert len(tried) < 10


def test_failing_shards_do_not_keep_others_from_being_made(store: LocalStore) -> None:
    def fail(shard: int) -> Exception | None:
        return RuntimeError("no codec") if shard in (1, 2, 3, 4) else None

    fleet = SimulatedFleet(make_plan(80, 8), on_publish=fail)
    ledger = drive(store, fleet)
    assert sorted(ledger.failed) == [1, 2, 3, 4] and shards_of(fleet) == [0, 5, 6, 7, 8, 9]


def test_workers_that_die_while_loading_stop_the_run(store: LocalStore) -> None:
    fleet = SimulatedFleet(make_plan(), WorkerBehaviour(deaths=dict.fromkeys(range(9), 1.0)))
    with pytest.raises(GenerationError, match="3 workers in a row died.*node lost"):
        drive(store, fleet, workers=1)


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (PlanMismatchError("gsketch differs"), PlanMismatchError, "gsketch differs"),
        (KeyError("down_blocks"), GenerationError, "cannot load the teacher: KeyError"),
    ],
)
def test_a_teacher_that_cannot_be_loaded_stops_the_run(
    store: LocalStore, error: Exception, raised: type[Exception], words: str
) -> None:
    class FailingFleet(SimulatedFleet):
        def start(self, worker: int) -> None:
            super().start(worker)
            self._enter(0.5, LoadFailed(worker, error))

    with pytest.raises(raised, match=words):
        drive(store, FailingFleet(make_plan()))


def test_a_store_that_fails_stops_the_run(store: LocalStore) -> None:
    full = StorageError("no space left")
    fleet = SimulatedFleet(make_plan(), on_publish=_fail_on_shard(0, full))
    with pytest.raises(StorageError, match="no space left"):
        drive(store, fleet)


def test_no_node_for_any_worker_stops_the_run(store: LocalStore) -> None:
    class EmptyCluster(SimulatedFleet):
        def start(self, worker: int) -> None:
            self.started += 1

    with pytest.raises(GenerationError, match="no worker could be started for 1800 s"):
        drive(store, EmptyCluster(make_plan()))


def test_makespan_is_near_the_bound_with_uneven_workers(store: LocalStore) -> None:
    plan = make_plan(800, 8)
    fleet = SimulatedFleet(plan, WorkerBehaviour(slowness={0: 3.0, 1: 2.0}))
    drive(store, fleet, workers=10)
    rate = 8 + 1 / 3 + 1 / 2
    assert fleet.now_s < 1.15 * (800 / rate) + START_S


def test_events_tell_the_progress(store: LocalStore) -> None:
    events: list[tuple[str, dict[str, object]]] = []
    fleet = SimulatedFleet(plan := make_plan(), WorkerBehaviour(poison={3}))
    ledger = open_ledger(store, plan, POLICY)

    def note(name: str, **fields: object) -> None:
        events.append((name, fields))

    driver = Driver(store, ledger, fleet, 2, listener_of(note), fleet.clock)
    driver.run(lambda: False)
    progress = [fields for name, fields in events if name == "generate"]
    assert progress[-1]["done"] == progress[-1]["total"] == plan.samples
    assert [fields["sample"] for name, fields in events if name == "generate.quarantined"] == [3]


def _fail_on_shard(bad: int, error: Exception) -> Callable[[int], Exception | None]:
    return lambda shard: error if shard == bad else None
