"""A few of many to show: evenly spaced, so that nobody picks the best ones."""

from __future__ import annotations

import numpy as np


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` of the indices 0 to count - 1, evenly spaced, the first among them.

    Args:
        count: how many there are to choose from; none are chosen from none.
        most: how many to choose; all are chosen where there are no more.
    """
    return [int(index) for index in np.linspace(0, count - 1, min(count, most)).round()]
