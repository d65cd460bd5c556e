"""The seam of drawers: systems that draw given images in a style.

Shapes: B images of a batch, S the side of the square that a drawer works in, in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from pipeline.arrays import Pixels
from pipeline.teachers.teacher import TeacherFiles


@dataclass(frozen=True)
class DrawOptions:
    """How images are drawn: the options that drawers have in common.

    Attributes:
        prompt: what the images show; "" says nothing about them.
        iterations: of the inversion's fixed point, for drawers that invert.
    """

    prompt: str = ""
    iterations: int = 3


@dataclass(frozen=True)
class DrawnBatch:
    """Sketches uint8 (B, S, S), 255 = paper, and what is known of each (fidelity, in its units)."""

    sketches: Pixels
    columns: Sequence[Mapping[str, float]]


class Drawer(Protocol):
    """Draws images; a sketch depends on its image, its generator and the artefacts only."""

    fingerprint: dict[str, str]
    """SHA-256 of every artefact that sketches depend on, by name."""

    @property
    def image_size(self) -> int:
        """S, the side of images and sketches in pixels."""
        ...

    @property
    def batch(self) -> int:
        """How many images are drawn together."""
        ...

    def draw(self, images: Pixels, generators: Sequence[torch.Generator]) -> DrawnBatch:
        """Draw images uint8 (B, S, S, 3).

        Args:
            generators: one per image, for drawers that use random numbers.

        Raises:
            ValueError: images of another shape; the message says S.
        """
        ...


class DrawerClass(Protocol):
    """What the registry knows of a drawer."""

    def load(self, files: TeacherFiles, options: DrawOptions) -> Drawer:
        """Load the drawer of a taught system; ValueError as `TeacherClass.load`."""
        ...
