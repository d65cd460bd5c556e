"""SIGTERM as a request: finish what is running, then go."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def drain_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM instead of dying of it; a second one ends the process at once.

    Must be entered after ray.init, which puts in a handler of its own.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; whoever called us from another has the signal.
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGTERM)

    def note(signum: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
        asked.set()

    signal.signal(signal.SIGTERM, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
