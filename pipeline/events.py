"""Events: what happens during a job, each a name with fields."""

from __future__ import annotations

from typing import Any, Protocol


class OnEvent(Protocol):
    """Listens to events. Those with the fields `done` and `total` are progress."""

    def __call__(self, name: str, **fields: Any) -> None:
        """Take one event: its name, such as `distill.iteration`, and JSON-able fields."""
        ...


def ignore(name: str, **fields: Any) -> None:
    """Listen to no event."""
