"""A teacher's factory for workers that must reach an S3 server: it carries boto3's settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.standins.standin_teacher import StandinTeacher


@dataclass(frozen=True)
class FarFactory:
    """Called in a worker, it sets the environment there before the first use of the store.

    The tests' Ray was started before the server; a cluster's nodes have the settings already.
    """

    environment: Mapping[str, str]
    factory: Callable[[], StandinTeacher] = StandinTeacher

    def __call__(self) -> StandinTeacher:
        """Set up this process and return its teacher."""
        os.environ.update(self.environment)
        return self.factory()
