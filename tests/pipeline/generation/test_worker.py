"""The inside of a worker: overlap, checks, and bytes that do not depend on the order of work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.plan import Plan, PlanMismatchError
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.generation.worker import ShardMaker
from pipeline.pair import Pair, SampleSpec
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created
from tests.standins.standin_teacher import FINGERPRINT, StandinTeacher, make_plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


@pytest.fixture
def plan() -> Plan:
    return make_plan()


def make(maker: ShardMaker, shard: int, excluded: frozenset[int] = frozenset()) -> None:
    maker.sample(shard, excluded, begun=False)
    maker.publish(shard)


class RecordingTeacher:
    """Records the batches that it is asked for, and by which threads."""

    fingerprint = FINGERPRINT
    image_size = 32

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.threads = {threading.get_ident()}

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        self.asked.append([spec.index for spec in specs])
        self.threads.add(threading.get_ident())
        return StandinTeacher().pairs(specs)


def test_samples_come_in_the_plans_batches_by_one_thread(store: LocalStore, plan: Plan) -> None:
    made: list[RecordingTeacher] = []

    def factory() -> RecordingTeacher:
        made.append(RecordingTeacher())
        return made[0]

    maker = ShardMaker(plan, store, factory)
    write_quarantine(store, Quarantine(index=9, shard=1, attempts=3, reason="crash"))
    make(maker, 2)
    make(maker, 1, frozenset({9}))
    assert made[0].asked == [[16, 17, 18, 19], [20, 21], [8, 10, 11], [12, 13, 14, 15]]
    assert len(made[0].threads) == 1 and threading.get_ident() not in made[0].threads


def test_bytes_do_not_depend_on_order_or_on_trials(
    store: LocalStore, plan: Plan, tmp_path: Path
) -> None:
    maker = ShardMaker(plan, store, StandinTeacher)
    other = ShardMaker(plan, LocalStore(tmp_path / "other"), StandinTeacher)
    for shard in (0, 1, 2):
        make(maker, shard)
    other.try_samples((3, 4))
    for shard in (2, 0, 1):
        make(other, shard)
    for key in store.keys(""):
        assert store.read(key) == other.store.read(key)


def test_a_begun_shard_is_recovered_without_sampling(store: LocalStore, plan: Plan) -> None:
    make(ShardMaker(plan, store, StandinTeacher), 0)
    store.delete(layout.commit_key(0))
    maker = ShardMaker(plan, store, lambda: StandinTeacher(poison=frozenset(range(99))))
    maker.sample(0, frozenset(), begun=True)
    report = maker.publish(0)
    assert not report.made and report.commit.pairs == 8 and store.exists(layout.commit_key(0))


def test_sampling_goes_on_during_upload(plan: Plan, tmp_path: Path) -> None:
    uploaded = threading.Event()

    class WaitingStore(LocalStore):
        def create(self, key: str, data: bytes) -> Created:
            assert uploaded.wait(60)
            return super().create(key, data)

    maker = ShardMaker(plan, WaitingStore(tmp_path), StandinTeacher)
    with ThreadPoolExecutor(1) as pool:
        maker.sample(0, frozenset(), begun=False)
        publishing = pool.submit(maker.publish, 0)
        maker.sample(1, frozenset(), begun=False)
        assert not publishing.done()
        uploaded.set()
        assert publishing.result().made
    report = maker.publish(1)
    assert report.sampling_s > 0 and report.waiting_s >= 0


def test_errors_of_the_teacher_and_of_its_pairs_come_out(store: LocalStore, plan: Plan) -> None:
    maker = ShardMaker(plan, store, lambda: StandinTeacher(poison=frozenset({5})))
    with pytest.raises(RuntimeError, match="sample 5 cannot be made"):
        maker.sample(0, frozenset(), begun=False)
    maker.try_samples((4, 6))
    with pytest.raises(RuntimeError):
        maker.try_samples((4, 5))

    class Shuffler(StandinTeacher):
        def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
            return super().pairs(specs)[::-1]

    with pytest.raises(ValueError, match=r"asked for the samples \[0, 1, 2, 3\] but made \[3"):
        make(ShardMaker(plan, store, Shuffler), 0)

    class Misshaper(StandinTeacher):
        def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
            return [replace(pair, sketch=pair.image) for pair in super().pairs(specs)]

    with pytest.raises(ValueError, match="sample 0: expected an image"):
        make(ShardMaker(plan, store, Misshaper), 0)
    assert store.keys("") == []


def test_another_teacher_than_the_plans_is_refused(store: LocalStore, plan: Plan) -> None:
    other = StandinTeacher(fingerprint={"standin": "f" * 64, "prior": "0" * 64})
    with pytest.raises(PlanMismatchError, match="prior, standin differ"):
        ShardMaker(plan, store, lambda: other)
