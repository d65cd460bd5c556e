"""Looking up by name what can be chosen by name: teachers, students, trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


def find_entry(registry: Mapping[str, Entry], what: str, name: str) -> Entry:
    """Look an entry up.

    Args:
        registry: all entries by name.
        what: one of them is called, for the message.
        name: of the one to find.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    if name not in registry:
        raise ValueError(f"no {what} {name!r}: expected one of {', '.join(sorted(registry))}")
    return registry[name]
