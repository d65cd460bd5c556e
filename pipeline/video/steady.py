"""Steadier drawings of a film, and a figure of how much they flicker.

H, W: pixels. Drawings are uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from pipeline.video.motion import Motion

# Drawings before a frame that its steady drawing looks at. Finite, so that a part of a film that is
# begun so many frames early is the same as in the whole.
WINDOW = 4


@dataclass
class Flicker:
    """How much drawings change where the film does not, in grey levels.

    The mean over frames of the mean of |D_t - warp(D_t-1)| over the pixels that both frames show
    (as the warping error of Lai et al. 2018, of drawings); cuts are left out.
    """

    total: float = 0.0
    frames: int = 0

    def add(self, before: Pixels, after: Pixels, motion: Motion) -> None:
        """Add one frame's drawing, with that of the frame before."""
        if motion.is_cut:
            return
        change = np.abs(after - motion.warp(before))
        self.total += float(change[motion.same].mean())
        self.frames += 1

    @property
    def mean(self) -> float:
        """The figure; 0 without frames."""
        return self.total / self.frames if self.frames else 0.0


class Steadier:
    """Averages each drawing with those before it, where the film shows the same."""

    def __init__(self, window: int = WINDOW) -> None:
        # Drawings before, each moved to where it is now, and how far it is to be trusted.
        self._before: deque[tuple[NDArray[np.float32], NDArray[np.float32]]] = deque(maxlen=window)

    def steady(self, drawing: Pixels, motion: Motion | None) -> Pixels:
        """Return the drawing of the next frame, made steadier.

        Args:
            drawing: as it was drawn.
            motion: from the frame before; None for the first.
        """
        if motion is None or motion.is_cut:
            self._before.clear()
        else:
            same = motion.same.astype(np.float32)
            for number, (moved, trust) in enumerate(self._before):
                # Trust is moved too: where one frame did not fit, the next does not help.
                self._before[number] = (motion.warp(moved), motion.warp(trust) * same)
        now = drawing.astype(np.float32)
        total, weight = now.copy(), np.ones_like(now)
        for moved, trust in self._before:
            total += moved * trust
            weight += trust
        self._before.append((now, np.ones_like(now)))
        return np.rint(total / weight).astype(np.uint8)
