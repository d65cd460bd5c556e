"""Scores of a drawing against its truth, gathered over pictures and mergeable across workers.

Drawings are uint8 (H, W), 255 = paper. Scores are kept per picture: intervals need them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from skimage.metrics import structural_similarity

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, signed_from_uint8
from training.encoders.lpips import Perceptual

Better = Literal["lower", "higher"]

INK_BELOW = 128
SSIM_SIGMA = 1.5  # with skimage's truncation at 3.5 sigma: the window of 11 pixels


class Metric(Protocol):
    """A score per picture, and its mean.

    Attributes:
        name: its own in the registry and in every result.
        better: whether higher or lower scores are better.
        scores: what was found so far, by the picture's name.
    """

    name: str
    better: Better
    scores: dict[str, float]

    def update(self, name: str, drawing: Pixels, truth: Pixels) -> None:
        """Score one drawing against its truth.

        Args:
            name: the picture's, different from all others'.
            drawing: uint8 (H, W).
            truth: uint8 of the drawing's size.

        Raises:
            ValueError: the picture was scored already, or the two cannot be compared; the message
                names the picture.
        """
        ...

    def merge(self, other: Self) -> None:
        """Take over another worker's scores; ValueError when a picture is in both."""
        ...

    def compute(self) -> float:
        """Return the mean over all pictures; ValueError before the first."""
        ...


class PictureScores(ABC):
    """Base class of per-picture metrics: checks, storage and merging; subclasses add `score`."""

    name: str
    better: Better

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    @abstractmethod
    def score(self, drawing: Pixels, truth: Pixels) -> float:
        """Score one drawing against its truth, uint8 (H, W) both, of one size."""

    def update(self, name: str, drawing: Pixels, truth: Pixels) -> None:
        """Score one drawing and keep the score under its picture's name."""
        if name in self.scores:
            raise ValueError(f"picture {name!r} has been scored already; names must differ")
        _check_drawings(name, drawing, truth)
        self.scores[name] = self.score(drawing, truth)

    def merge(self, other: Self) -> None:
        """Take over another worker's scores; ValueError when a picture is in both."""
        both = sorted(self.scores.keys() & other.scores.keys())
        if both:
            raise ValueError(f"expected workers with different pictures, both scored {both[:5]}")
        self.scores |= other.scores

    def compute(self) -> float:
        """Return the mean over all pictures; ValueError before the first."""
        if not self.scores:
            raise ValueError("no picture has been scored yet: call update first")
        # By name: the order of pictures and of merging must not change even the last bit.
        return float(np.mean([self.scores[name] for name in sorted(self.scores)]))


class Ssim(PictureScores):
    """Structural similarity with a Gaussian window of 11 pixels, sigma 1.5 (Wang et al. 2004)."""

    name = "ssim"
    better: Better = "higher"

    def score(self, drawing: Pixels, truth: Pixels) -> float:
        """Compare two drawings of at least 11 x 11 pixels: -> [-1, 1], 1 for equal ones."""
        similarity = structural_similarity(
            drawing,
            truth,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            data_range=255,
        )
        return float(similarity)


class Lpips(PictureScores):
    """Perceptual distance (LPIPS) with the trunk of `perceptual`."""

    name = "lpips"
    better: Better = "lower"

    def __init__(self, perceptual: Perceptual) -> None:
        super().__init__()
        self._perceptual = perceptual

    @torch.no_grad()
    def score(self, drawing: Pixels, truth: Pixels) -> float:
        """Compare two drawings of at least 32 x 32 pixels: -> 0 for equal ones, or more."""
        device = next(self._perceptual.parameters()).device
        pixels = np.stack([drawing, truth])[..., None]
        pair = signed_from_uint8(channels_first(pixels, device))  # (2, 1, H, W)
        return float(self._perceptual.distance(pair[:1], pair[1:]))


class L1(PictureScores):
    """Mean difference of grey levels: no training minimises it on these pictures."""

    name = "l1"
    better: Better = "lower"

    def score(self, drawing: Pixels, truth: Pixels) -> float:
        """Compare two drawings: -> [0, 1], 0 for equal ones."""
        return float(np.abs(drawing.astype(np.float64) - truth).mean() / 255)


class EdgeF1(PictureScores):
    """F-measure of ink within a pixel of the other drawing's ink, ink being what is below 128."""

    name = "edge_f1"
    better: Better = "higher"

    def score(self, drawing: Pixels, truth: Pixels) -> float:
        """Compare two drawings: -> [0, 1], 1 where each one's ink lies beside the other's."""
        ink, true_ink = drawing < INK_BELOW, truth < INK_BELOW
        if not (ink.any() and true_ink.any()):
            return float(ink.any() == true_ink.any())
        precision = ink[_thickened(true_ink)].sum() / ink.sum()
        recall = true_ink[_thickened(ink)].sum() / true_ink.sum()
        return float(2 * precision * recall / max(precision + recall, 1e-12))


def _thickened(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add all eight neighbours of every pixel (H, W)."""
    return np.asarray(binary_dilation(ink, np.ones((3, 3), bool)))


def _check_drawings(name: str, drawing: Pixels, truth: Pixels) -> None:
    for array in (drawing, truth):
        if array.dtype != np.uint8 or array.ndim != 2:
            raise ValueError(
                f"picture {name!r}: expected drawings uint8 (H, W), got {array.dtype} {array.shape}"
            )
    if drawing.shape != truth.shape:
        raise ValueError(
            f"picture {name!r}: expected a drawing of the truth's size {truth.shape}, "
            f"got {drawing.shape}"
        )
