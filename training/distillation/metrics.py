"""How fast a training is, and what it waits for: figures for people, files and Ray's metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

METRICS = "metrics.jsonl"
NEWEST = 0.3  # weight of the last steps in the time that is left


@dataclass(frozen=True)
class StepMetrics:
    """Figures of the last few steps on one rank.

    Attributes:
        done: iterations so far.
        step_s: seconds from one step to the next; a checkpoint between them counts.
        samples_per_s: pairs of all ranks together.
        waiting_share: of that time, what this rank waited for its batch to be read. A GPU may have
            been at work on earlier steps meanwhile.
        left_s: seconds to the end of the training at this pace.
    """

    done: int
    step_s: float
    samples_per_s: float
    waiting_share: float
    left_s: float


class MetricsListener(Protocol):
    """Whoever wants a rank's figures: a gauge, a page."""

    def __call__(self, metrics: StepMetrics) -> None:
        """Take the figures of the last steps."""
        ...


def ignore_metrics(metrics: StepMetrics) -> None:
    """Listen to nothing."""


@dataclass
class StepTimes:
    """A clock for the steps of a training.

    Attributes:
        total: iterations of the whole training.
        clock: seconds that rise steadily.
    """

    total: int
    clock: Callable[[], float] = time.perf_counter
    _since: float = field(init=False)
    _waited_s: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False)
    _pairs: int = field(default=0, init=False)
    _pace_s: float = field(default=0.0, init=False)
    _collected: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time within as spent waiting for the reader."""
        start = self.clock()
        try:
            yield
        finally:
            self._waited_s += self.clock() - start

    def step_done(self, pairs: int) -> None:
        """Count a step on so many pairs of all ranks together."""
        self._steps += 1
        self._pairs += pairs

    def collect(self, done: int) -> StepMetrics:
        """Return the figures since the last call, and start anew.

        On a GPU the call belongs where results were read back: until then steps are only queued.

        Args:
            done: iterations so far; one or more of them since the last call.
        """
        now = self.clock()
        elapsed_s = max(now - self._since, 1e-9)
        step_s = elapsed_s / self._steps
        # The first steps start things up; they count only while nothing else is known.
        known = self._collected > 1
        self._pace_s = (1 - NEWEST) * self._pace_s + NEWEST * step_s if known else step_s
        metrics = StepMetrics(
            done=done,
            step_s=step_s,
            samples_per_s=self._pairs / elapsed_s,
            waiting_share=self._waited_s / elapsed_s,
            left_s=(self.total - done) * self._pace_s,
        )
        self._collected += 1
        self._since, self._waited_s, self._steps, self._pairs = now, 0.0, 0, 0
        return metrics


def append_metrics(folder: Path, metrics: StepMetrics) -> None:
    """Add a line to the folder's metrics; a resumed training repeats some iterations there."""
    line = {name: round(value, 6) for name, value in asdict(metrics).items()}
    with (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
