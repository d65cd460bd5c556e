"""What learns is compared weight by weight, and on one thread only is it the same each time."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def as_ranks_on_ray(one_thread: None) -> None:
    """Train as Ray's ranks do."""
