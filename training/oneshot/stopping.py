"""Stopping by Ctrl-C or SIGTERM without a loss: what must not be cut in two, and who is asked."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undivided() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the context ends, so that its work is whole or not begun.

    Handlers are a matter of the main thread: elsewhere nothing is held back, and nothing arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    handlers = {int(number): signal.getsignal(number) for number in _STOPPING}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    for number, frame in arrived:
        held[number](number, frame)
