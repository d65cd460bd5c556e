"""SIGTERM, which clusters send, unwinds the stack as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: what unwinds on Ctrl-C unwinds on this too."""


def catch_sigterm() -> None:
    """Install the SIGTERM handler; call again after anything that installs its own (ray.init)."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _raise_terminated)


def _raise_terminated(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
