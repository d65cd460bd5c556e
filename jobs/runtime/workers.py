"""How many workers a command asks for; see `pipeline.recipe.workers`."""

from __future__ import annotations

from pipeline.recipe.workers import WorkerRange, worker_range

__all__ = ["WorkerRange", "worker_range"]
