"""Estimates: what the trial times, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.dataset.commit import committed_shards, read_commits
from pipeline.dataset.plan import Plan
from pipeline.generation.estimate import Measurements, Trial, estimate, run_trial
from pipeline.pair import Pair, SampleSpec
from pipeline.storage.address import open_store
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedTeacher(StandinTeacher):
    """Takes 2 s for its first batch, then 1 s and 3 s a pair in turn."""

    clock: Clock
    asked: list[list[int]]

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        object.__setattr__(self, "clock", clock)
        object.__setattr__(self, "asked", [])

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        count = len(self.asked)
        self.clock.now_s += 2.0 if count == 0 else len(specs) * (1.0 if count % 2 else 3.0)
        self.asked.append([spec.index for spec in specs])
        return super().pairs(specs)


def trial_of(
    plan: Plan, num_batches: int = 4, budget_s: float = 1e9
) -> tuple[Trial, list[list[int]]]:
    clock = Clock()
    teacher = TimedTeacher(clock)

    def load() -> TimedTeacher:
        clock.now_s += 5.0
        return teacher

    return run_trial(plan, load, num_batches, budget_s, clock), teacher.asked


def test_the_trial_times_whole_batches_from_first_to_last() -> None:
    plan = make_plan(samples=100, shard_size=16, batch=4)
    trial, asked = trial_of(plan)
    assert asked[0] == [0, 1, 2, 3] and asked[-1] == [96, 97, 98, 99] and len(asked) == 5
    assert trial.load_s == 7.0  # with the first batch, which is not timed
    assert trial.sampling_s.values == (1.0, 3.0, 1.0, 3.0) and trial.pace_s.mean == 2.0
    assert len(trial.pair_bytes.values) == 20


def test_the_trial_ends_with_its_budget_but_times_one_batch() -> None:
    trial, asked = trial_of(make_plan(samples=100), budget_s=1.0)
    assert len(asked) == 2 and trial.sampling_s.values == (1.0,)
    trial, asked = trial_of(make_plan(samples=3))
    assert asked == [[0, 1, 2]] * 2 and trial.sampling_s.margin == 0.0


def test_mean_and_spread() -> None:
    measured = Measurements((1.0, 2.0, 3.0, 4.0))
    assert measured.mean == 2.5 and measured.deviation == pytest.approx(1.2909944)
    assert measured.margin == pytest.approx(2 * 1.2909944 / 2 / 2.5)


def test_the_size_is_that_of_the_dataset(tmp_path: Path) -> None:
    """With all pairs in the trial, only tar ends and the index's own overhead differ."""
    plan = make_plan(samples=64, shard_size=32)
    store = open_store(write_dataset(tmp_path / "dataset", samples=64, shard_size=32))
    trial, _ = trial_of(plan, num_batches=64)
    commits = read_commits(store, committed_shards(store))
    size = sum(commit.tar.size + commit.index.size for commit in commits)
    assert estimate(plan, trial, 1).size_bytes == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(
    ("workers", "done", "pairs", "wall_s", "paid_s"),
    [
        (1, (), 100, 210, 210),  # 7 shards of 16, the last of 4, 2 s a pair, 10 s to load
        (2, (), 100, 10 + 2 * (16 * 3 + 4), 2 * 114),
        (7, (), 100, 10 + 2 * 16, 7 * 42),
        (50, (), 100, 10 + 2 * 16, 7 * 42),  # no more workers than shards
        (2, (0, 1, 6), 64, 10 + 2 * 32, 2 * 74),
        (2, range(7), 0, 0, 0),
    ],
)
def test_time_follows_from_the_longest_worker(
    workers: int, done: Sequence[int], pairs: int, wall_s: float, paid_s: float
) -> None:
    plan = make_plan(samples=100, shard_size=16)
    trial = Trial(Measurements((2.0,)), Measurements((0.1,)), Measurements((1000.0,)), load_s=10.0)
    found = estimate(plan, trial, workers, done)
    assert (found.pairs, found.size_bytes) == (pairs, pairs * 1000)
    assert found.wall_h * 3600 == pytest.approx(wall_s)
    assert found.paid_h * 3600 == pytest.approx(paid_s)
    assert found.busy_h <= found.paid_h + 1e-9
