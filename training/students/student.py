"""The seam of students: what distillation needs of one, and what it passes to it.

B: pairs, H, W: pixels. Inside students pictures and sketches are float [-1, 1], 1 = paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from torch import Tensor, nn

from training.encoders.features import FeatureNetwork


@dataclass(frozen=True)
class Batch:
    """Pairs of one step: images (B, 3, H, W), sketches (B, 1, H, W).

    `made` carries what an early phase of a step computed to its later phases, so that no network
    runs twice and no student holds the state of a step.
    """

    images: Tensor
    sketches: Tensor
    made: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """A part of each step: `module` alone learns in it, all else is frozen; Adam's betas."""

    name: str
    module: nn.Module
    betas: tuple[float, float]


class Student(Protocol):
    """A network that learns to draw from pairs, with the networks that only training needs."""

    @classmethod
    def create(cls, preset: str, features: FeatureNetwork) -> Self:
        """Build an untrained student from torch's default generator; ValueError on the preset."""
        ...

    @classmethod
    def network_from(cls, config: Mapping[str, Any]) -> nn.Module:
        """Build the drawing network that `network_config` describes, images -> sketches."""
        ...

    @classmethod
    def least_side(cls, config: Mapping[str, Any]) -> int:
        """Return the least side in pixels that the network of `network_config` draws well.

        Smaller pictures are continued to it by reflection.
        """
        ...

    @property
    def network(self) -> nn.Module:
        """Return the part that draws: all that an extractor needs."""
        ...

    @property
    def network_config(self) -> dict[str, Any]:
        """Return what `network_from` needs, as JSON."""
        ...

    @property
    def multiple(self) -> int:
        """Return what the sides of a picture must be divisible by."""
        ...

    def phases(self) -> Sequence[Phase]:
        """Return the phases of a step, in order; together they hold everything that learns."""
        ...

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Return weighted terms, scalars by name; the phase's module minimises their sum."""
        ...

    def compile(self) -> None:
        """Compile what `losses` runs; weights, their names and `draw` stay as they are."""
        ...

    def draw(self, images: Tensor) -> Tensor:
        """Draw: images (B, 3, H, W) -> sketches (B, 1, H, W), without gradient."""
        ...
