"""Resident memory of this process and of Ray's workers under it, over time."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


def peak_above_start_mb(work: Callable[[], object]) -> float:
    """Return how much more memory than at its start a call takes at most, in MB; Linux only."""
    # 5 sets the highest resident memory so far back to the present one (man 5 proc).
    Path("/proc/self/clear_refs").write_text("5")
    start_mb = _resident_mb(os.getpid())
    kept = work()
    peak_mb = _high_water_mb()
    del kept
    return peak_mb - start_mb


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


@dataclass
class Peak:
    """The most that was seen, in MB."""

    mb: float = 0.0


@contextmanager
def watching_tree(pid: int, every_s: float) -> Iterator[Peak]:
    """Watch a process and all below it while the context is open.

    Memory that processes share counts once (their proportional shares, from smaps_rollup): Ray's
    object store is mapped into all of them.
    """
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            peak.mb = max(peak.mb, sum(map(_proportional_mb, [pid, *_below(pid)])))

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield peak
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


def _high_water_mb() -> float:
    """Return this process's highest resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _proportional_mb(pid: int) -> float:
    """Return a process's memory, with its share of what it shares; 0 if it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    return int(rollup.partition("\nPss:")[2].split()[0]) * 1024 / 1e6


def _actor_pids() -> list[int]:
    """List generation's actors below this process (Ray's raylet, which starts them, is)."""
    return [pid for pid in _below(os.getpid()) if _is_actor(pid)]


def _is_actor(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(_ACTOR)
    except (FileNotFoundError, ProcessLookupError):
        return False


def _below(ancestor: int) -> list[int]:
    """List all processes below one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return [pid for pid in parents if pid != ancestor and _is_below(pid, ancestor, parents)]


def _is_below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor
