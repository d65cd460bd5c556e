"""SIGTERM as a request: finish what is running, then exit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def drain_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Remember SIGTERM instead of dying of it; a second one ends the process at once.

    It must be entered after ray.init, which installs a handler of its own.

    Yields:
        A function that tells whether SIGTERM has come.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; here the caller has to handle the signal.
        yield requested.is_set
        return
    before = signal.getsignal(signal.SIGTERM)

    def remember(signum: int, frame: FrameType | None) -> None:
        if requested.is_set():
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
        requested.set()

    signal.signal(signal.SIGTERM, remember)
    try:
        yield requested.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
