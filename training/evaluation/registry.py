"""The metrics by name: a new one is a file and a line here."""

from __future__ import annotations

from typing import Protocol

from training.encoders.lpips import Perceptual
from training.evaluation.metrics import L1, EdgeF1, Lpips, Metric, Ssim


class MetricFactory(Protocol):
    """Makes metrics that have scored nothing yet: one for each system and worker."""

    def __call__(self, perceptual: Perceptual, /) -> Metric:
        """Make a metric; those that need no perceptual network leave it alone."""
        ...


METRICS: dict[str, MetricFactory] = {
    "lpips": Lpips,
    "ssim": lambda perceptual: Ssim(),
    "l1": lambda perceptual: L1(),
    "edge_f1": lambda perceptual: EdgeF1(),
}
