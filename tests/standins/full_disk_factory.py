"""A teacher's factory in whose worker the operating system refuses to write more."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created
from tests.standins.standin_teacher import StandinTeacher

SPACE_BYTES = 100


@dataclass(frozen=True)
class FullDiskFactory:
    """Called in a worker, it leaves the files that go to `folder` no more than SPACE_BYTES each.

    The kernel refuses the write that goes beyond, after it has written what fits, as on a full
    disk. The limit holds during these writes only: Ray's own logs are longer.
    """

    folder: str

    def __call__(self) -> StandinTeacher:
        """Limit this process and give its teacher."""
        create = LocalStore.create

        def limited_create(store: LocalStore, key: str, data: bytes) -> Created:
            if not key.startswith(self.folder):
                return create(store, key, data)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (SPACE_BYTES, before[1]))
            try:
                return create(store, key, data)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

        LocalStore.create = limited_create  # type: ignore[method-assign]
        return StandinTeacher()
