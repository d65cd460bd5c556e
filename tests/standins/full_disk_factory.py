"""A teacher's factory in whose worker the operating system refuses to write long files."""

from __future__ import annotations

import resource
import threading
from dataclasses import dataclass

from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created
from tests.standins.standin_teacher import StandinTeacher

SPACE_BYTES = 100


@dataclass(frozen=True)
class FullDiskFactory:
    """Called in a worker, it limits each file below `folder` to SPACE_BYTES.

    The kernel writes what fits and refuses the rest, as on a full disk. The limit holds only during
    these writes, because Ray's own logs are longer.
    """

    folder: str

    def __call__(self) -> StandinTeacher:
        """Limit this process and return its teacher."""
        create, one_at_a_time = LocalStore.create, threading.Lock()  # the limit is the process's

        def limited_create(store: LocalStore, key: str, data: bytes) -> Created:
            if not key.startswith(self.folder):
                return create(store, key, data)
            with one_at_a_time:
                before = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (SPACE_BYTES, before[1]))
                try:
                    return create(store, key, data)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, before)

        LocalStore.create = limited_create  # type: ignore[method-assign]
        return StandinTeacher()
