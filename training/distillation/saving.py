"""When a distillation saves, and when it stops early: rank 0 decides for all ranks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from training.distillation.process_group import Ranks


class Due(Enum):
    """What is due between two iterations; all but nothing come with a checkpoint."""

    NOTHING = ""
    CHECKPOINT = "checkpoint"
    LEAVING = "leaving"
    STOP = "stop"


@dataclass(frozen=True)
class Wishes:
    """What the world around a training may ask for.

    Attributes:
        stop: save, and end before the last iteration; rank 0 alone is asked.
        leave: save, since a rank's machine is about to be taken away; all ranks are asked at the
            same iteration, for Ray lets them wait for each other there.
    """

    stop: Callable[[], bool] = lambda: False
    leave: Callable[[], bool] = lambda: False


UNDISTURBED = Wishes()


class SaveSchedule:
    """Decides what is due; all ranks ask at the same iterations.

    Args:
        ranks: of the training.
        every_s: seconds between two checkpoints, at least.
        wishes: of the world around the training.
    """

    def __init__(self, ranks: Ranks, every_s: float, wishes: Wishes) -> None:
        self._ranks, self._every_s, self._wishes = ranks, every_s, wishes
        self._saved_at = time.monotonic()
        self._was_leaving = False

    def due(self) -> Due:
        """Return what is due now, on every rank the same."""
        was_leaving, self._was_leaving = self._was_leaving, self._wishes.leave()
        leaves_now = self._was_leaving and not was_leaving
        decided = self._decide(leaves_now) if self._ranks.rank == 0 else Due.NOTHING
        due = Due(self._ranks.share(decided.value))
        if due is not Due.NOTHING:
            self._saved_at = time.monotonic()
        return due

    def _decide(self, leaves_now: bool) -> Due:
        if self._wishes.stop():
            return Due.STOP
        if leaves_now:
            return Due.LEAVING
        waited_s = time.monotonic() - self._saved_at
        return Due.CHECKPOINT if waited_s >= self._every_s else Due.NOTHING
