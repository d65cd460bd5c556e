"""A teacher whose worker is killed with SIGKILL at a named point, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.pair import Pair, SampleSpec
from pipeline.storage.local import LocalStore
from pipeline.storage.s3 import S3Store
from pipeline.storage.store import Created
from tests.standins.standin_teacher import StandinTeacher

POINTS = (
    "sampling",
    "before shards/",
    "after shards/",
    "before index/",
    "after index/",
    "before commits/",
    "after commits/",
)


@dataclass(frozen=True)
class KillingFactory:
    """Called in a worker, it arms the process: the first one to reach `point` dies of kill -9.

    `marker` is a file that tells all workers that this has happened.
    """

    point: str
    marker: Path
    store: type[LocalStore] | type[S3Store] = LocalStore

    def __call__(self) -> StandinTeacher:
        """Arm this process and return its teacher."""
        create = self.store.create

        def killing_create(store: Any, key: str, data: bytes) -> Created:
            folder = key.split("/")[0] + "/"
            self.reach(f"before {folder}")
            result = create(store, key, data)
            self.reach(f"after {folder}")
            return result

        self.store.create = killing_create  # type: ignore[method-assign]
        return KillingTeacher(self)

    def reach(self, point: str) -> None:
        """Die here if this is the point and no process has died there before."""
        if point != self.point:
            return
        try:
            os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class KillingTeacher(StandinTeacher):
    """The stand-in teacher, with a point of death in its second batch."""

    factory: KillingFactory

    def __init__(self, factory: KillingFactory) -> None:
        super().__init__()
        object.__setattr__(self, "factory", factory)

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs, or die."""
        if specs[0].index % 8 == 4:
            self.factory.reach("sampling")
        return super().pairs(specs)
