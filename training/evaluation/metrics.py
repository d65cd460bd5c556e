"""Scores of a drawing against its truth, gathered over pictures and mergeable across workers.

Drawings are uint8 (H, W), 255 = paper. Scores are kept per picture: intervals need them.
"""

from collections.abc import Callable
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from pipeline.pixels import channels_first, signed_from_uint8
from training.encoders.lpips import Perceptual

SSIM_SIGMA = 1.5  # with skimage's truncation at 3.5 sigma: the window of 11 pixels


class Metric(Protocol):
    """A score per picture, and its mean."""

    name: str
    better: Literal["lower", "higher"]
    scores: dict[str, float]  # picture's name -> score

    def update(self, name: str, drawing: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Score one drawing, uint8 (H, W), against its truth of the same size."""
        ...

    def merge(self, other: Self) -> None:
        """Take over the scores of another worker, which must be of other pictures."""
        ...

    def compute(self) -> float:
        """Mean score over all pictures."""
        ...


class _Scored:
    """Keeping and merging of scores, shared by the metrics below."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    def merge(self, other: Self) -> None:
        """Take over the scores of another worker; ValueError when a picture is in both."""
        both = sorted(self.scores.keys() & other.scores.keys())
        if both:
            raise ValueError(f"expected workers with different pictures, both scored {both[:5]}")
        self.scores |= other.scores

    def compute(self) -> float:
        """Mean score over all pictures; ValueError before the first."""
        if not self.scores:
            raise ValueError("no picture has been scored yet: call update first")
        return float(np.mean(list(self.scores.values())))

    def _record(self, name: str, score: float) -> None:
        if name in self.scores:
            raise ValueError(f"picture {name!r} has been scored already; names must differ")
        self.scores[name] = score


class Ssim(_Scored):
    """Structural similarity with a Gaussian window of 11 pixels, sigma 1.5 (method, section 7)."""

    name = "ssim"
    better: Literal["lower", "higher"] = "higher"

    def update(self, name: str, drawing: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Score one drawing; both must be uint8 (H, W) of one size, at least 11 x 11."""
        _check_drawings(drawing, truth)
        score = structural_similarity(
            drawing,
            truth,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            data_range=255,
        )
        self._record(name, float(score))


class Lpips(_Scored):
    """Perceptual distance with whichever trunk `perceptual` holds."""

    name = "lpips"
    better: Literal["lower", "higher"] = "lower"

    def __init__(self, perceptual: Perceptual) -> None:
        super().__init__()
        self._perceptual = perceptual

    @torch.no_grad()
    def update(self, name: str, drawing: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Score one drawing; both must be uint8 (H, W) of one size, at least 32 x 32."""
        _check_drawings(drawing, truth)
        device = next(self._perceptual.parameters()).device
        pixels = np.stack([drawing, truth])[..., None]
        pair = signed_from_uint8(channels_first(pixels, device))  # (2, 1, H, W)
        self._record(name, float(self._perceptual.distance(pair[:1], pair[1:])))


def _check_drawings(drawing: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    for array in (drawing, truth):
        if array.dtype != np.uint8 or array.ndim != 2:
            raise ValueError(f"expected drawings uint8 (H, W), got {array.dtype} {array.shape}")
    if drawing.shape != truth.shape:
        raise ValueError(
            f"expected a drawing of the truth's size {truth.shape}, got {drawing.shape}"
        )


METRICS: dict[str, Callable[[Perceptual], Metric]] = {
    "lpips": Lpips,
    "ssim": lambda perceptual: Ssim(),
}
