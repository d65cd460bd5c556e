"""Look-up of what is chosen by name: teachers, students, trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


def find_entry(registry: Mapping[str, Entry], what: str, name: str) -> Entry:
    """Look an entry up.

    Args:
        registry: all entries by name.
        what: the kind of entry, for the message.
        name: of the one to find.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    if name not in registry:
        raise ValueError(f"no {what} {name!r}: expected one of {', '.join(sorted(registry))}")
    return registry[name]
