"""What a dataset needs from its storage: objects that are created once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StorageError(ValueError):
    """A store cannot be used; the message says where, what it answered and what to do."""


class MissingKeyError(StorageError):
    """There is no object of this name in the store."""


class DamagedError(StorageError):
    """Repeated reads of an object return other bytes than were written."""


class Created(Enum):
    """The outcome of `create`, which never replaces an object."""

    NEW = "the object was not there and is now"
    EQUAL = "the name was taken by equal content, perhaps by this call's own earlier attempt"
    OTHER = "the name is taken by other content, which stays"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object's name, size in bytes and time of creation in seconds since 1970."""

    key: str
    size: int
    created_s: float


class Store(Protocol):
    """A flat space of named byte strings.

    Implementations are picklable before and after use, hold no secret in their fields and open
    connections on first use.

    Raises:
        StorageError: from every method, if the store fails.
    """

    @property
    def single_writer(self) -> bool:
        """Whether only one writer is at work, so that names need no guard."""

    @property
    def url(self) -> str:
        """The store's address, for people."""

    def create(self, key: str, data: bytes) -> Created:
        """Create an object unless its name is taken; when this returns, the object is durable."""

    def read(self, key: str) -> bytes:
        """Return a whole object.

        Raises:
            MissingKeyError: there is no object of this name.
        """

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from byte `start` on."""

    def keys(self, prefix: str) -> list[str]:
        """Return all names that start with `prefix` (a folder ending in '/', or ''), sorted."""

    def entries(self, prefix: str) -> list[Entry]:
        """Return the entries of what `keys` lists."""

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, each with its whole name and a '/', sorted."""

    def leftovers(self) -> list[Entry]:
        """Return unfinished writes, which have no name yet, of dead writers and of live ones."""

    def exists(self, key: str) -> bool:
        """Tell whether an object is there."""

    def size(self, key: str) -> int:
        """Return an object's size in bytes.

        Raises:
            MissingKeyError: there is no object of this name.
        """

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""
