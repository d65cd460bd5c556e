"""Teachers: anything that makes image-sketch pairs by address, and the registry of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from pipeline.pair import Pair, SampleSpec
from pipeline.teachers.diffsketch import DiffSketchTeacher

__all__ = ["TEACHERS", "Pair", "SampleSpec", "Teacher", "load_teacher"]


@runtime_checkable
class Teacher(Protocol):
    """Makes pairs; pair i must depend on its spec and on the teacher's artefacts only."""

    fingerprint: dict[str, str]
    """SHA-256 of every artefact that pairs depend on, by name."""

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        ...

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order."""
        ...


TEACHERS: dict[str, type[DiffSketchTeacher]] = {
    "diffsketch": DiffSketchTeacher,
}


def load_teacher(
    name: str, folder: Path, backbone_location: str | Path, device: str, dtype: torch.dtype
) -> Teacher:
    """Load a taught teacher by its name in the registry.

    Raises:
        ValueError: there is no such teacher, or its folder cannot be used.
    """
    if name not in TEACHERS:
        raise ValueError(f"no teacher {name!r}: expected one of {', '.join(sorted(TEACHERS))}")
    return TEACHERS[name].load(folder, backbone_location, device, dtype)
