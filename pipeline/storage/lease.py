"""Leases: one process at a time works on a training, in a folder or in a store.

No clock of another machine is read. In a folder the operating system holds the lock, and drops it
with the process, however that ends. In a store the holder shows signs of life, one after the other;
whoever comes later watches by its own clock whether a new one comes, and takes the lease over where
none does.

    leases/NAME/00001            who holds it; of several numbers the highest does
    leases/NAME/00001.000017     the latest sign of life
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.storage.store import Created, MissingKeyError, StorageError, Store

SIGN_EVERY_S = 10.0
# Without a sign of life for so long a holder is taken for dead.
PATIENCE_S = 40.0
_LOOK_S = 1.0
_HOLDER = re.compile(r"([0-9]{5})")
_SIGN = re.compile(r"([0-9]{5})\.([0-9]{6})")


class HeldError(ValueError):
    """Another process is at work; the message says which."""


@contextmanager
def folder_lease(path: Path, what: str) -> Iterator[None]:
    """Hold the lease whose file is `path`.

    Args:
        what: it is for, in the message.

    Raises:
        HeldError: another process holds it.
    """
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _held(what, os.pread(descriptor, 4096, 0)) from error
        except OSError:
            # Some network file systems know no locks; there a second process is not noticed.
            yield
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _who(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def one_after_the_other(path: Path) -> Iterator[None]:
    """Let one process at a time run the block; the others wait. Locks the file `path`."""
    descriptor = _open(path)
    try:
        # Without locks on some network file systems, as above.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def store_lease(
    store: Store,
    name: str,
    on_loss: Callable[[], None],
    on_wait: Callable[[str], None] = lambda who: None,
    sign_every_s: float = SIGN_EVERY_S,
    patience_s: float = PATIENCE_S,
) -> Iterator[None]:
    """Hold the lease of a name in a store, and show signs of life while the block lasts.

    Args:
        on_loss: called, in a thread, when another process has taken the lease over, as happens to
            one that was suspended.
        on_wait: called with the holder's name before it is watched.

    Raises:
        HeldError: another process holds it.
        StorageError: the store fails.
    """
    prefix = f"leases/{name}/"
    who = _who()
    number = _take(store, prefix, who, f"{store.url}/{name}", on_wait, patience_s)
    ended = threading.Event()
    signs = _Signs(store, prefix, number, who, on_loss)
    thread = threading.Thread(
        target=signs.show, args=(ended, sign_every_s), name="lease", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(StorageError):
            signs.remove()


class _Signs:
    """Signs of life of one holder."""

    def __init__(
        self, store: Store, prefix: str, number: int, who: bytes, on_loss: Callable[[], None]
    ) -> None:
        self._store, self._prefix, self._number, self._who = store, prefix, number, who
        self._on_loss = on_loss
        self._count = 0

    def show(self, ended: threading.Event, every_s: float) -> None:
        while not ended.wait(every_s):
            # A store that fails for a while is tried again: patience is longer than one sign.
            with suppress(StorageError):
                if self._is_lost():
                    self._on_loss()
                    return
                self._count += 1
                self._store.create(self._key(self._count), b"")
                self._store.delete(self._key(self._count - 1))

    def _is_lost(self) -> bool:
        # By name, for some stores list late, or never. A follower that has ended took it away.
        if _read_holder(self._store, self._prefix, self._number) != self._who:
            return True
        return _highest(self._store, self._prefix) > self._number

    def remove(self) -> None:
        """Take away the lease, and only now what dead holders left before it.

        A listing that shows neither them nor this one would look like a lease that nobody holds.
        """
        own = {self._key(self._count), f"{self._prefix}{self._number:05d}"}
        listed = {key for key in self._store.keys(self._prefix) if key < max(own)}
        # The holders last, the own one at the very end.
        for key in sorted(own | listed, key=lambda key: ("." not in key, key)):
            self._store.delete(key)

    def _key(self, count: int) -> str:
        return f"{self._prefix}{self._number:05d}.{count:06d}"


def _take(
    store: Store,
    prefix: str,
    who: bytes,
    what: str,
    on_wait: Callable[[str], None],
    patience_s: float,
) -> int:
    """Become the holder, and return its number."""
    highest = _highest(store, prefix)
    if highest:
        holder = _read_holder(store, prefix, highest)
        on_wait(_name(holder))
        if _is_alive(store, prefix, highest, patience_s):
            raise _held(what, holder)
    number = highest + 1
    key = f"{prefix}{number:05d}"
    created = store.create(key, who)
    # Some servers let both of two succeed that come in the same millisecond; one of them stays.
    time.sleep(_look_s(patience_s))
    holder = _read_holder(store, prefix, number)
    if created is Created.OTHER or holder != who:
        raise _held(what, holder)
    if (later := _highest(store, prefix)) > number:
        store.delete(key)
        raise _held(what, _read_holder(store, prefix, later))
    return number


def _is_alive(store: Store, prefix: str, number: int, patience_s: float) -> bool:
    """Watch a holder until a new sign of life comes; False where none does, or it ends."""
    before = _signs_of(store, prefix, number)
    until_s = time.monotonic() + patience_s
    while time.monotonic() < until_s:
        time.sleep(_look_s(patience_s))
        if _highest(store, prefix) != number:
            # It ended; or another one has come, with whom this one then has to do.
            return _highest(store, prefix) > number
        if _signs_of(store, prefix, number) != before:
            return True
    return False


def _look_s(patience_s: float) -> float:
    return min(_LOOK_S, patience_s / 4)


def _highest(store: Store, prefix: str) -> int:
    found = (_HOLDER.fullmatch(key.removeprefix(prefix)) for key in store.keys(prefix))
    return max((int(match[1]) for match in found if match), default=0)


def _signs_of(store: Store, prefix: str, number: int) -> list[str]:
    found = (_SIGN.fullmatch(key.removeprefix(prefix)) for key in store.keys(prefix))
    return [match[2] for match in found if match and int(match[1]) == number]


def _read_holder(store: Store, prefix: str, number: int) -> bytes:
    with suppress(MissingKeyError):
        return store.read(f"{prefix}{number:05d}")
    return b""


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _who() -> bytes:
    # Containers may agree in name and number: the token tells them apart.
    who = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    return json.dumps(who).encode()


def _name(who: bytes) -> str:
    try:
        holder = json.loads(who)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, LookupError, TypeError):
        return "another process"


def _held(what: str, who: bytes) -> HeldError:
    return HeldError(
        f"{what}: {_name(who)} is at work on it. Wait until it ends, or stop it there; this "
        "command has changed nothing"
    )
