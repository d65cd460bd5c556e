"""SIGTERM: the first one is remembered, the second one counts."""

from __future__ import annotations

import signal
import threading

from pipeline.generation.signals import drain_on_sigterm


def test_the_first_signal_is_a_request_and_the_second_goes_to_the_handler_before() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: received.append(signum))
    try:
        with drain_on_sigterm() as is_requested:
            assert not is_requested()
            signal.raise_signal(signal.SIGTERM)
            assert is_requested() and received == []
            signal.raise_signal(signal.SIGTERM)
            assert received == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_the_handlers_alone() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def run() -> None:
        with drain_on_sigterm() as is_requested:
            found.extend([is_requested(), signal.getsignal(signal.SIGTERM)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False, handler]
