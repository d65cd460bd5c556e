"""What a dataset needs from the place where it lies: objects created once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StorageError(ValueError):
    """A store that cannot be used; the message says where, what it answered and what to do."""


class MissingKeyError(StorageError):
    """A name that is not in the store."""


class DamagedError(StorageError):
    """An object whose bytes are, read after read, not those that were written."""


class Created(Enum):
    """What became of a creation: nobody's object is ever replaced."""

    NEW = "the object was not there and is now"
    EQUAL = "the name was taken by equal content, perhaps by this call's own earlier attempt"
    OTHER = "the name is taken by other content, which stays"


@dataclass(frozen=True)
class Entry:
    """An object's name, size in bytes and time of creation in seconds since 1970."""

    key: str
    size: int
    created_s: float


class Store(Protocol):
    """A flat space of named byte strings. All methods raise StorageError.

    Implementations are picklable before and after use, hold no secret in their fields, and open
    connections on first use.
    """

    @property
    def url(self) -> str:
        """Where the store is, for people."""

    def create(self, key: str, data: bytes) -> Created:
        """Create an object under a name that must be free; when this returns, it is durable."""

    def read(self, key: str) -> bytes:
        """Return a whole object; MissingKeyError where there is none."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from byte `start` on."""

    def keys(self, prefix: str) -> list[str]:
        """Return all names that start with `prefix` (a folder ending in '/', or ''), sorted."""

    def entries(self, prefix: str) -> list[Entry]:
        """Return what `keys` names, with sizes and times."""

    def leftovers(self) -> list[Entry]:
        """Return unfinished writes that have no name yet, of dead writers and of living ones."""

    def exists(self, key: str) -> bool:
        """Tell whether an object is there."""

    def size(self, key: str) -> int:
        """Return an object's size in bytes; MissingKeyError where there is none."""

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""
