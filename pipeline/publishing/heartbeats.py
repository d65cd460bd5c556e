"""Heartbeats: a run's workers record in the store that they are alive and what they have done.

A worker creates an empty object when it is ready and another for each shard that it publishes. Name
and time say everything, so that one listing tells what every worker did. Heartbeats are not part of
the dataset, whose files hold neither times nor workers, and are removed when it is finished.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby

from pipeline.dataset import layout
from pipeline.storage.parallel import in_parallel
from pipeline.storage.store import Entry, StorageError, Store

_READY = "ready"
# What takes the place of a worker's name in the heartbeat of a run itself.
_RUN = "run-"
_HEARTBEAT = re.compile(rf"workers/([A-Za-z0-9-]{{1,80}})\.(ready|{layout.SHARD_NUMBER})")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True)
class WorkerStatus:
    """What one worker's heartbeats say.

    `first_s` and `last_s` are the times of its first and last heartbeat in seconds since 1970.
    """

    worker: str
    shards: int
    first_s: float
    last_s: float

    @property
    def seconds_per_shard(self) -> float:
        """Mean time between its heartbeats; 0 before its first shard."""
        return (self.last_s - self.first_s) / self.shards if self.shards else 0.0


def worker_name() -> str:
    """Return this process's name: its host and its process ID there."""
    return f"{_NOT_IN_NAMES.sub('-', socket.gethostname())[:60]}-{os.getpid()}"


def record_ready(store: Store, worker: str) -> None:
    """Record that a worker has loaded its teacher."""
    store.create(f"{layout.WORKERS}{worker}.{_READY}", b"")


def record_shard(store: Store, worker: str, shard: int) -> None:
    """Record that a worker has published a shard."""
    store.create(f"{layout.WORKERS}{worker}.{shard:05d}", b"")


@contextmanager
def recorded_run(store: Store) -> Iterator[tuple[int, int]]:
    """Record a run while the block lasts.

    Runs that begin at the same moment get ranks of their own all the same.

    Yields:
        Its rank among the runs that are at work, or were killed, and their number.
    """
    own = f"{layout.WORKERS}{_RUN}{secrets.token_hex(8)}.{_READY}"
    store.create(own, b"")
    runs = [key for key in store.keys(layout.WORKERS) if key.startswith(f"{layout.WORKERS}{_RUN}")]
    # A store that does not list it yet, or another run that has just finished the dataset.
    runs = sorted({*runs, own})
    try:
        yield runs.index(own), len(runs)
    finally:
        with suppress(StorageError):
            store.delete(own)


def is_heartbeat(name: str) -> bool:
    """Tell whether a name below a dataset's root is that of a heartbeat."""
    return _HEARTBEAT.fullmatch(name) is not None


def read_heartbeats(store: Store) -> list[WorkerStatus]:
    """Sum up in one listing what each worker did; the latest heartbeat comes first."""
    by_worker = _by_worker(store.entries(layout.WORKERS))
    workers = [_sum_up(worker, heartbeats) for worker, heartbeats in by_worker]
    return sorted(workers, key=lambda status: -status.last_s)


def remove_heartbeats(store: Store) -> None:
    """Remove all heartbeats, once the dataset is finished; without the right to, leave them."""
    # There is one for each shard.
    heartbeats = filter(is_heartbeat, store.keys(layout.WORKERS))
    with suppress(StorageError):
        for _ in in_parallel(store.delete, heartbeats):
            pass


def _by_worker(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    def worker(heartbeat: Entry) -> str:
        return heartbeat.key.removeprefix(layout.WORKERS).split(".")[0]

    heartbeats = (
        entry
        for entry in entries
        if is_heartbeat(entry.key) and not entry.key.startswith(f"{layout.WORKERS}{_RUN}")
    )
    for name, group in groupby(sorted(heartbeats, key=worker), key=worker):
        yield name, list(group)


def _sum_up(worker: str, heartbeats: list[Entry]) -> WorkerStatus:
    times_s = [heartbeat.created_s for heartbeat in heartbeats]
    shards = sum(not heartbeat.key.endswith(_READY) for heartbeat in heartbeats)
    return WorkerStatus(worker, shards, min(times_s), max(times_s))
