"""Guidance: the prediction as a weighted sum over subsets of the conditions, weights summing to 1.

Classifier-free guidance of scale g (Ho and Salimans 2022, equation 6) is (1 - g) without any
condition and g with the text. Systems with several conditions add further subsets.

Shapes: B images, R branches (one per subset), C channels, h x w pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from pipeline.recipe.recipe import Sampling

TEXT = "text"
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Guidance:
    """Which conditions each branch of the network sees, and what its prediction weighs.

    Raises:
        ValueError: no branch, not one weight for each, or weights whose sum is not 1.
    """

    subsets: tuple[frozenset[str], ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.subsets or len(self.subsets) != len(self.weights):
            raise ValueError(
                f"guidance needs one weight for each subset of the conditions; got "
                f"{len(self.subsets)} subsets and {len(self.weights)} weights"
            )
        if not math.isclose(sum(self.weights), 1, rel_tol=0, abs_tol=_TOLERANCE):
            raise ValueError(
                f"the weights of guidance must sum to 1; {self.weights} sum to {sum(self.weights)}"
            )

    @property
    def branches(self) -> int:
        """How often the network is evaluated in a step."""
        return len(self.subsets)

    def combine(self, predictions: Tensor) -> Tensor:
        """Weigh the branches' predictions: (R B, C, h, w) -> (B, C, h, w).

        The sum is taken by differences of neighbouring branches, each with all the weight from it
        on: for two branches that is the usual e_0 + g (e_1 - e_0), to the last bit.
        """
        first, *others = predictions.chunk(self.branches)
        combined, before = first, first
        for number, prediction in enumerate(others, start=1):
            combined = combined + sum(self.weights[number:]) * (prediction - before)
            before = prediction
        return combined

    def split(self, features: list[Tensor]) -> list[Tensor]:
        """Split recorded features by branch: (R B, C, h, w) -> (B, R, C, h, w)."""
        return [f.unflatten(0, (self.branches, -1)).transpose(0, 1) for f in features]


def guidance_of(sampling: Sampling) -> Guidance:
    """Return the classifier-free guidance of a recipe's sampling; one branch at scale 1."""
    if sampling.guidance == 1:
        return Guidance((frozenset({TEXT}),), (1.0,))
    subsets = (frozenset[str](), frozenset({TEXT}))
    return Guidance(subsets, (1 - sampling.guidance, sampling.guidance))
