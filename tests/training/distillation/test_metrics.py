"""Figures of speed: what is counted, and what a page or a gauge is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.distillation.metrics import StepMetrics, StepTimes, append_metrics


class Clock:
    """A clock that stands still until it is set forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def take_steps(times: StepTimes, clock: Clock, steps: int, step_s: float, wait_s: float) -> None:
    for _ in range(steps):
        with times.waiting():
            clock.now += wait_s
        clock.now += step_s - wait_s
        times.step_done(pairs=16)


def test_steps_pairs_and_waiting_are_counted_since_the_last_call() -> None:
    clock = Clock()
    times = StepTimes(total=100, clock=clock)
    take_steps(times, clock, 5, step_s=2.0, wait_s=0.5)
    first = times.collect(done=5)
    assert first == StepMetrics(5, 2.0, 8.0, 0.25, 95 * 2.0)
    take_steps(times, clock, 10, step_s=1.0, wait_s=0.0)
    second = times.collect(done=15)
    assert (second.step_s, second.samples_per_s, second.waiting_share) == (1.0, 16.0, 0.0)


def test_the_time_left_forgets_the_start_and_follows_the_pace() -> None:
    clock = Clock()
    times = StepTimes(total=40, clock=clock)
    left = []
    for done, step_s in ((10, 60.0), (20, 1.0), (30, 2.0)):
        take_steps(times, clock, 10, step_s, wait_s=0.0)
        left.append(times.collect(done).left_s)
    assert left == pytest.approx([30 * 60.0, 20 * 1.0, 10 * (0.7 * 1.0 + 0.3 * 2.0)])


def test_lines_are_added_to_what_a_resumed_training_left(tmp_path: Path) -> None:
    for done in (10, 20, 15):
        append_metrics(tmp_path, StepMetrics(done, 0.5, 32.0, 0.125, 60.0))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == [10, 20, 15]
    assert lines[0] == {
        "done": 10,
        "step_s": 0.5,
        "samples_per_s": 32.0,
        "waiting_share": 0.125,
        "left_s": 60.0,
    }
