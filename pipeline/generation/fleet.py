"""Workers as the driver sees them: what it asks of them and the events that come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.dataset.commit import Commit
from pipeline.generation.scheduling import Task


@dataclass(frozen=True)
class Report:
    """A committed shard, and the times that the sampling thread worked and waited, in seconds.

    `made` is False if an earlier attempt had made the shard and it was only recovered.
    """

    commit: Commit
    sampling_s: float
    waiting_s: float
    made: bool


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its teacher."""

    worker: int


@dataclass(frozen=True)
class Lost:
    """A worker's process is gone."""

    worker: int
    reason: str


@dataclass(frozen=True)
class LoadFailed:
    """A worker cannot load its teacher, or its teacher is not the plan's."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Sampled:
    """A shard's samples are made; encoding and upload continue."""

    worker: int
    task: Task


@dataclass(frozen=True)
class Done:
    """A task is finished; trials have no report."""

    worker: int
    task: Task
    report: Report | None


@dataclass(frozen=True)
class Failed:
    """A task raised an error; its worker is still alive."""

    worker: int
    task: Task
    error: Exception


@dataclass(frozen=True)
class Heartbeat:
    """A worker's count of everything that it has done so far."""

    worker: int
    progress: int


@dataclass(frozen=True)
class Leaving:
    """A worker's machine is about to be taken away: what runs may still finish."""

    worker: int


Event = Ready | Lost | LoadFailed | Sampled | Done | Failed | Heartbeat | Leaving


class Fleet(Protocol):
    """Workers, wherever they run. No method except `wait` blocks."""

    def start(self, worker: int) -> None:
        """Ask for a worker; Ready, LoadFailed or Lost follows, perhaps much later."""

    def submit(self, worker: int, task: Task, excluded: frozenset[int]) -> None:
        """Give a task to a ready worker, to be made without the samples `excluded`."""

    def ping(self, worker: int) -> None:
        """Ask a worker for a Heartbeat."""

    def stop(self, worker: int) -> None:
        """End a worker at once; no more events come from it."""

    def wait(self, timeout_s: float) -> list[Event]:
        """Wait for the first events and return all that have come."""
