"""What happens in a run of generation, as values with types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar

from pipeline.events import OnEvent


@dataclass(frozen=True)
class ShardPublished:
    """A shard is committed; `made` is False where an earlier run had sampled it.

    Times in seconds, of the worker's sampling thread.
    """

    name: ClassVar[str] = "generate.shard"
    shard: int
    worker: int
    made: bool
    pairs: int
    size_bytes: int
    sampling_s: float
    waiting_s: float


@dataclass(frozen=True)
class Progress:
    """How many samples are accounted for; `left_s` is None while no rate is known."""

    name: ClassVar[str] = "generate"
    done: int
    total: int
    pairs_per_s: float
    left_s: float | None
    workers: int


@dataclass(frozen=True)
class Draining:
    """The run was asked to stop: what is running may finish within `grace_s` seconds."""

    name: ClassVar[str] = "generate.draining"
    grace_s: float


@dataclass(frozen=True)
class ShardFailed:
    """A shard cannot be published, by any worker."""

    name: ClassVar[str] = "generate.shard_failed"
    shard: int
    reason: str


@dataclass(frozen=True)
class Retry:
    """A task failed and is tried again, in another process."""

    name: ClassVar[str] = "generate.retry"
    shard: int
    reason: str


@dataclass(frozen=True)
class WorkerLost:
    """A worker died or showed no progress, and is replaced."""

    name: ClassVar[str] = "generate.worker_lost"
    worker: int
    reason: str


@dataclass(frozen=True)
class WorkerLeaving:
    """A worker's machine is about to be taken away: it gets no more shards."""

    name: ClassVar[str] = "generate.worker_leaving"
    worker: int


@dataclass(frozen=True)
class SampleQuarantined:
    """A sample is given up."""

    name: ClassVar[str] = "generate.quarantined"
    sample: int
    reason: str


RunEvent = (
    ShardPublished
    | Progress
    | Draining
    | ShardFailed
    | Retry
    | WorkerLost
    | WorkerLeaving
    | SampleQuarantined
)
Listener = Callable[[RunEvent], None]


def listener_of(on_event: OnEvent) -> Listener:
    """Return a listener that passes events on by their names and fields."""

    def listen(event: RunEvent) -> None:
        on_event(event.name, **asdict(event))

    return listen
