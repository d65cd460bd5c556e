"""Events of work on other nodes, sent to the driver while it goes on, and what the two agree on.

An actor on the driver's node holds them until the driver fetches them: the work never waits for the
driver, and needs no file that both see.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.events import OnEvent
from pipeline.storage.local import NO_SPACE

_POLL_S = 0.2


class EventSender:
    """Sends events to a relay, without waiting for it."""

    def __init__(self, relay: Any) -> None:
        self._relay = relay
        self._last: Any = None

    def __call__(self, name: str, **fields: Any) -> None:
        """Send one event."""
        self._last = self._relay.put.remote(name, fields)

    def flush(self) -> None:
        """Wait until all that was sent has arrived."""
        if self._last is not None:
            ray.get(self._last)


@contextmanager
def relayed(on_event: OnEvent) -> Iterator[Any]:
    """Give a relay for `EventSender`, and pass on what arrives while the context lasts.

    Ray must be initialised.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(_Relay)
    relay = actor.options(num_cpus=0, scheduling_strategy=here).remote()
    ended = threading.Event()

    def follow() -> None:
        while True:
            last = ended.wait(_POLL_S)
            for name, fields in ray.get(relay.take.remote()):
                on_event(name, **fields)
            if last:
                return

    thread = threading.Thread(target=follow, name="relayed-events", daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        ended.set()
        thread.join()
        ray.kill(relay)


def is_stopping(relay: Any) -> bool:
    """Tell whether the driver has asked the work to stop."""
    return bool(ray.get(relay.is_stopping.remote()))


@contextmanager
def failing_once(relay: Any) -> Iterator[None]:
    """Let the processes that Ray starts in a failed one's place fail as it did, and at once.

    That is for what no new start helps: a ValueError, and a disk that is full. Other failures pass.
    """
    mistake = ray.get(relay.mistake.remote())
    if mistake is not None:
        raise mistake
    try:
        yield
    except (ValueError, OSError) as error:
        if is_mistake(error):
            ray.get(relay.give_up.remote(error))
        raise


def is_mistake(error: BaseException) -> bool:
    """Tell whether an error is one that no new start helps."""
    return isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno in NO_SPACE)


class _Relay:
    """Holds events until they are taken, the driver's wish to stop, and why work has ended."""

    def __init__(self) -> None:
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._stopping = False
        self._mistake: Exception | None = None

    def give_up(self, mistake: Exception) -> None:
        self._mistake = self._mistake or mistake

    def mistake(self) -> Exception | None:
        return self._mistake

    def stop(self) -> None:
        self._stopping = True

    def is_stopping(self) -> bool:
        return self._stopping

    def put(self, name: str, fields: dict[str, Any]) -> None:
        self._events.append((name, fields))

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        taken, self._events = self._events, []
        return taken
