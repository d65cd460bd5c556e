"""The least that a student can be: one convolution, one phase. A new student in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.encoders.features import FeatureNetwork
from training.students.student import Batch, Phase

WIDTHS = {"small": 3, "paper": 7}


class ToyNetwork(nn.Module):
    """One convolution over a picture's surroundings, bounded by tanh."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.conv = nn.Conv2d(3, 1, width, padding=width // 2, padding_mode="replicate")

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W), both in [-1, 1]."""
        return self.conv(images).tanh()


class ToyStudent:
    """Learns by the mean absolute difference alone."""

    def __init__(self, width: int) -> None:
        self._network = ToyNetwork(width)

    @classmethod
    def create(cls, preset: str, features: FeatureNetwork) -> Self:
        """Build an untrained student; it has no use for features."""
        if preset not in WIDTHS:
            raise ValueError(f"preset {preset!r} of toy: expected one of {sorted(WIDTHS)}")
        return cls(WIDTHS[preset])

    @classmethod
    def network_from(cls, config: Mapping[str, Any]) -> nn.Module:
        """Build the network that `network_config` describes."""
        return ToyNetwork(**config)

    @classmethod
    def least_side(cls, config: Mapping[str, Any]) -> int:
        """Any picture will do."""
        return 1

    @property
    def network(self) -> nn.Module:
        """The part that draws."""
        return self._network

    @property
    def network_config(self) -> dict[str, Any]:
        """What `network_from` needs."""
        return {"width": self._network.width}

    @property
    def multiple(self) -> int:
        """Sides of any length."""
        return 1

    def phases(self) -> Sequence[Phase]:
        """One phase."""
        return (Phase("network", self._network, (0.9, 0.999)),)

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """The mean absolute difference."""
        return {"l1": F.l1_loss(self._network(batch.images), batch.sketches)}

    @torch.no_grad()
    def draw(self, images: Tensor) -> Tensor:
        """Draw: images (B, 3, H, W) -> sketches (B, 1, H, W)."""
        drawn: Tensor = self._network(images)
        return drawn
