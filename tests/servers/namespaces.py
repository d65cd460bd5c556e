"""Linux namespaces: made for children of this process, and entered for a while by a thread.

What is made here has no name that could be left behind: a namespace goes with its last process and
its last open file, however these end.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path


class Kind(IntFlag):
    """Kinds of namespaces, with the kernel's numbers (clone(2))."""

    MOUNTS = 0x00020000
    HOST_NAME = 0x04000000
    IPC = 0x08000000
    PROCESSES = 0x20000000
    NETWORK = 0x40000000


_FILES = {
    Kind.HOST_NAME: "uts",
    Kind.IPC: "ipc",
    Kind.PROCESSES: "pid",
    Kind.NETWORK: "net",
    # Last, because names of files mean others from there on.
    Kind.MOUNTS: "mnt",
}
_ALL_BUT_PROCESSES = [kind for kind in _FILES if kind is not Kind.PROCESSES]
# Programs that the cluster of the tests calls, and the Debian package of each.
_PROGRAMS = {"ip": "iproute2", "mount": "mount", "unshare": "util-linux"}
_TRIAL = "unshare --mount --uts --ipc --net --pid --fork mount -t tmpfs none /mnt"
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Say what this machine lacks for namespaces of one's own; "" where nothing is missing."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(f'{name} ({_PROGRAMS[name]})' for name in missing)}"
    trial = subprocess.run(_TRIAL.split(), capture_output=True, text=True)
    if trial.returncode == 0:
        return ""
    return f"namespaces and mounts of one's own are refused: {trial.stderr.strip()}"


def unshare(kinds: Kind) -> None:
    """Leave namespaces for new ones, for good."""
    _call("unshare", int(kinds))


def unshare_all_but_processes() -> None:
    """Leave all namespaces for new ones, as a child does before its program starts."""
    for kind in _ALL_BUT_PROCESSES:
        unshare(kind)


@contextmanager
def new_for_children() -> Iterator[None]:
    """Let the first process that this thread starts be number 1 of a new process namespace."""
    with _coming_back(Kind.PROCESSES):
        unshare(Kind.PROCESSES)
        yield


def new_network() -> int:
    """Make a network namespace and return the open file that holds it."""
    with _coming_back(Kind.NETWORK):
        unshare(Kind.NETWORK)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def in_network(fd: int) -> Iterator[None]:
    """Put this thread, and all processes and threads that it starts, into a network for a while."""
    with _coming_back(Kind.NETWORK):
        _call("setns", fd, int(Kind.NETWORK))
        yield


@contextmanager
def joining(pid: int) -> Iterator[Callable[[], None]]:
    """Let processes that this thread starts be among those of process `pid`.

    Gives what such a child calls before its program starts, to be in the other namespaces too.
    """
    places = {
        kind: os.open(Path(f"/proc/{pid}/ns") / name, os.O_RDONLY) for kind, name in _FILES.items()
    }

    def join() -> None:
        for kind in _ALL_BUT_PROCESSES:
            _call("setns", places[kind], int(kind))

    try:
        with _coming_back(Kind.PROCESSES):
            _call("setns", places[Kind.PROCESSES], int(Kind.PROCESSES))
            yield join
    finally:
        for fd in places.values():
            os.close(fd)


@contextmanager
def _coming_back(kind: Kind) -> Iterator[None]:
    own = os.open(f"/proc/thread-self/ns/{_FILES[kind]}", os.O_RDONLY)
    try:
        yield
    finally:
        _call("setns", own, int(kind))
        os.close(own)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
