"""Signs of life of a run's workers in the store, for whoever asks how far a dataset is.

A worker leaves an empty object when it is ready and another for each shard that it has published:
name and time say it all, so that one listing tells what every worker did. The notes are no part of
the dataset, whose files hold neither times nor workers, and go when it is finished.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from pipeline.dataset import layout
from pipeline.storage.store import Entry, Store

_READY = "ready"
_NOTE = re.compile(r"workers/([A-Za-z0-9-]{1,80})\.(ready|[0-9]{5})")
_STRANGE = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True)
class WorkerStatus:
    """What one worker's notes say; times in seconds since 1970, seconds per shard 0 if unknown."""

    worker: str
    shards: int
    first_s: float
    last_s: float

    @property
    def seconds_per_shard(self) -> float:
        """Mean time between its notes."""
        return (self.last_s - self.first_s) / self.shards if self.shards else 0.0


def worker_name() -> str:
    """Name this process: its machine and its number there."""
    return f"{_STRANGE.sub('-', socket.gethostname())[:60]}-{os.getpid()}"


def record_ready(store: Store, worker: str) -> None:
    """Note that a worker has loaded its teacher."""
    store.create(f"{layout.WORKERS}{worker}.{_READY}", b"")


def record_shard(store: Store, worker: str, shard: int) -> None:
    """Note that a worker has published a shard."""
    store.create(f"{layout.WORKERS}{worker}.{shard:05d}", b"")


def is_heartbeat(name: str) -> bool:
    """Whether a name in a dataset's root is that of a note."""
    return _NOTE.fullmatch(name) is not None


def read_heartbeats(store: Store) -> list[WorkerStatus]:
    """Sum up what each worker did, by one listing; the latest sign of life first."""
    found = [_sum_up(worker, notes) for worker, notes in _by_worker(store.entries(layout.WORKERS))]
    return sorted(found, key=lambda status: -status.last_s)


def remove_heartbeats(store: Store) -> None:
    """Take the notes away: the dataset is finished."""
    for name in filter(is_heartbeat, store.keys(layout.WORKERS)):
        store.delete(name)


def _by_worker(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    def worker(note: Entry) -> str:
        return note.key.removeprefix(layout.WORKERS).split(".")[0]

    notes = (entry for entry in entries if is_heartbeat(entry.key))
    for name, group in groupby(sorted(notes, key=worker), key=worker):
        yield name, list(group)


def _sum_up(worker: str, notes: list[Entry]) -> WorkerStatus:
    times_s = [note.created_s for note in notes]
    shards = sum(not note.key.endswith(_READY) for note in notes)
    return WorkerStatus(worker, shards, min(times_s), max(times_s))
