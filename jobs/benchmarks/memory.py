"""Resident memory of this process and of Ray's workers under it, over time."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# What Ray calls the processes of generation's actors.
_ACTOR = b"ray::_Worker"


class MemoryLog:
    """Samples of resident memory in MB: of the driver, and of the largest actor at that time."""

    def __init__(self) -> None:
        self.driver_mb: list[float] = []
        self.actor_mb: list[float] = []

    def sample(self) -> None:
        """Take one sample of each; actors count while there are any."""
        self.driver_mb.append(_resident_mb(os.getpid()))
        if actors := [_resident_mb(pid) for pid in _actor_pids()]:
            self.actor_mb.append(max(actors))


@contextmanager
def watching(every_s: float) -> Iterator[MemoryLog]:
    """Sample memory in a thread while the context is open."""
    log, over = MemoryLog(), threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            log.sample()

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield log
    finally:
        over.set()
        thread.join()


def growth(samples_mb: list[float]) -> float:
    """Return the median of the last quarter over that of the second: the first is start-up.

    Raises:
        ValueError: there are fewer than four samples.
    """
    quarter = len(samples_mb) // 4
    if quarter == 0:
        raise ValueError(f"expected 4 samples of memory or more, got {len(samples_mb)}: run longer")
    second, last = samples_mb[quarter : 2 * quarter], samples_mb[-quarter:]
    return statistics.median(last) / statistics.median(second)


def _resident_mb(pid: int) -> float:
    """Return the resident memory of a process; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * _PAGE_BYTES / 1e6


def _actor_pids() -> list[int]:
    """List generation's actors below this process (Ray's raylet, which starts them, is)."""
    parents, actors = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (folder / "cmdline").read_bytes().startswith(_ACTOR):
                actors.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for pid in actors if _is_below(pid, os.getpid(), parents)]


def _is_below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor
