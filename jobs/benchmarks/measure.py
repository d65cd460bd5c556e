"""How benchmarks measure: warm up, alternate with the peer, keep every round.

Machines are shared and clocks drift: each round's ratio compares two neighbours in time, and the
ratio that counts is the median over the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from pipeline.storage.address import open_store


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds of each side; `tiny` workloads only show that they run.

    `pairs` is the size of the dataset of `scale`; `far` an empty s3 address for `read` and
    `full-size`, or nothing; `backbone` a diffusers folder for `full-size`, or nothing. `device` is
    that of `full-size` and `distill`. `node_gbits` is a node's bandwidth for `cluster`, and
    `preempted_per_hour` how often a node is taken away there.
    """

    rounds: int = 5
    tiny: bool = False
    pairs: int = 30_000
    far: str = ""
    backbone: str = ""
    device: str = "auto"
    node_gbits: float = 10.0
    preempted_per_hour: float = 0.1


@dataclass(frozen=True)
class BenchmarkScore:
    """One figure of a benchmark: its value in each round, and what the median should reach."""

    name: str
    values: tuple[float, ...]
    target: float
    at_least: bool
    unit: str = "x"

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median reaches the target."""
        return self.median >= self.target if self.at_least else self.median <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return everything about it as JSON-able data."""
        return {
            "name": self.name,
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "unit": self.unit,
            "target": f"{'>=' if self.at_least else '<='} {self.target:g}",
            "met": self.met,
            "rounds": list(self.values),
        }


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark found.

    `seconds` holds the rounds' times of each side, `metadata` anything else of interest.
    """

    workload: str
    peer: str
    scores: tuple[BenchmarkScore, ...]
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything about it as JSON-able data."""
        return {
            "workload": self.workload,
            "peer": self.peer,
            "scores": [score.to_dict() for score in self.scores],
            "seconds": {name: list(values) for name, values in self.seconds.items()},
            "metadata": dict(self.metadata),
        }


Clock = Callable[[], float]


def take_turns(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int,
    clock: Clock = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Time two sides, after one unmeasured call of both.

    The order alternates, so that neither side gains from what the other leaves in caches.

    Args:
        rounds: how often each side is timed.
        clock: may be time.thread_time for what one thread computes without ever waiting: then
            nothing else that runs on the machine counts.

    Returns:
        The seconds of each round, ours and the peer's.
    """
    found = take_turns_of({"ours": ours, "peer": peer}, rounds, clock)
    return found["ours"], found["peer"]


def take_turns_of(
    sides: Mapping[str, Callable[[], object]], rounds: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Time any number of sides, after one unmeasured call of each, as `take_turns` does two."""
    for work in sides.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(seconds_of(sides[name], clock))
    return found


def seconds_of(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Time one call."""
    start_s = clock()
    work()
    return clock() - start_s


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, so that the thread's processor time is the whole of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ratios(of: Sequence[float], to: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio of each round."""
    return tuple(a / b for a, b in zip(of, to, strict=True))


def check_empty(address: str) -> None:
    """Check that nothing lies where a benchmark is to write.

    Raises:
        ValueError: something does.
    """
    if found := open_store(address).keys(""):
        raise ValueError(
            f"--far {address}: expected nothing there, found {found[0]}; give an empty prefix"
        )
