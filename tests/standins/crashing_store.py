"""A local store that crashes at a chosen creation."""

from __future__ import annotations

from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created


class CrashError(Exception):
    """The crash of a `CrashingStore`."""


class CrashingStore(LocalStore):
    """Crashes at the n-th creation, before or after it."""

    _left: int
    _after: bool

    def arm(self, at: int, after: bool) -> CrashingStore:
        """Choose the creation, counted from 1, and return the store."""
        object.__setattr__(self, "_left", at)
        object.__setattr__(self, "_after", after)
        return self

    def create(self, key: str, data: bytes) -> Created:
        """Create a file, or crash."""
        object.__setattr__(self, "_left", self._left - 1)
        if self._left == 0 and not self._after:
            raise CrashError
        result = super().create(key, data)
        if self._left == 0:
            raise CrashError
        return result
