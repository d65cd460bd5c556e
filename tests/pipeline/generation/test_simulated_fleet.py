"""Simulated time: what workers take, and what the driver itself takes."""

from __future__ import annotations

import itertools

import pytest

from pipeline.generation.fleet import Done, Ready, Sampled
from pipeline.generation.scheduling import Task
from pipeline.generation.simulated_fleet import SimulatedFleet, WorkerBehaviour
from tests.standins.standin_teacher import make_plan

BEHAVIOUR = WorkerBehaviour(
    sample_s=2.0, start_s=3.0, publish_s=1.0, slowness={1: 2.0}, effort={0: 1.5}
)


def test_the_time_of_a_shard_depends_on_its_samples_effort_and_worker() -> None:
    fleet = SimulatedFleet(make_plan(16, 8), BEHAVIOUR)
    for worker in (0, 1):
        fleet.start(worker)
    assert fleet.wait(9.0) == [Ready(0), Ready(1)] and fleet.now_s == 3.0
    for worker in (0, 1):
        fleet.submit(worker, Task(worker), frozenset())
    assert fleet.wait(100.0) == [Sampled(0, Task(0))] and fleet.now_s == 3 + 8 * 2.0 * 1.5
    (done,) = fleet.wait(100.0)
    assert isinstance(done, Done) and fleet.now_s == 3 + 24 + 1
    fleet.wait(100.0)
    assert fleet.now_s == 3 + 8 * 2.0 * 2.0


def test_waiting_without_events_takes_the_timeout() -> None:
    fleet = SimulatedFleet(make_plan())
    assert fleet.wait(1.5) == [] and fleet.now_s == 1.5
    fleet.start(0)
    assert fleet.wait(0.5) == [] and fleet.now_s == 2.0


def test_the_drivers_own_time_passes_on_the_simulated_clock_too() -> None:
    # A clock that gains 0.25 s whenever it is read.
    ticks = itertools.count(step=0.25)
    fleet = SimulatedFleet(
        make_plan(), WorkerBehaviour(start_s=3.0), real_clock=lambda: next(ticks)
    )
    fleet.start(0)
    before_s = fleet.now_s
    assert 0 < before_s < 3.0
    assert fleet.wait(10.0) == [Ready(0)]
    assert fleet.now_s == pytest.approx(3.0, abs=1.0) and fleet.now_s > 3.0
