"""The seam of teachers: systems that make image-sketch pairs by address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pipeline.pair import Pair, SampleSpec


@dataclass(frozen=True)
class TeacherFiles:
    """Where a taught system lies, and where it is to work.

    Attributes:
        folder: what its training left.
        locations: of the models that it was taught on, by kind (`backbone`, ...): folders or ids.
        device: such as `cpu` or `cuda:0`.
        dtype: of the models' numbers.
    """

    folder: Path
    locations: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    dtype: torch.dtype = torch.float32


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


class SamplingError(RuntimeError):
    """A sample has values that are not finite."""


def join_fingerprints(*fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Join the fingerprints of what a teacher is made of; ValueError where two contradict."""
    joined: dict[str, str] = {}
    for name, digest in (item for fingerprint in fingerprints for item in fingerprint.items()):
        if joined.setdefault(name, digest) != digest:
            raise ValueError(
                f"two parts of a teacher depend on {name}, but not on the same: its SHA-256 is "
                f"{joined[name][:12]} for one and {digest[:12]} for the other"
            )
    return joined


def check_finite(samples: Sequence[object], *values: Tensor) -> None:
    """Refuse values, (B, ...) each, that are not finite, which pixels would hide.

    Args:
        samples: names of the B samples, for the message.

    Raises:
        SamplingError: one is not finite.
    """
    for value in values:
        finite = value.isfinite().flatten(1).all(1).tolist()
        for sample, good in zip(samples, finite, strict=True):
            if not good:
                raise SamplingError(f"sample {sample} is not finite in {value.dtype}")


class TeacherClass(Protocol):
    """What the registry knows of a teacher: how it comes out of its files."""

    def check_taught(self, folder: Path) -> None:
        """Raise ValueError unless the folder of a taught teacher has all its files."""
        ...

    def fingerprint_of(self, files: TeacherFiles) -> dict[str, str]:
        """Return the fingerprint that the loaded teacher would have, without loading a model.

        Models whose locations are left out are those that the teacher's record names.

        Raises:
            ValueError: a file is missing, or a model is not the one that was taught on.
        """
        ...

    def load(self, files: TeacherFiles) -> Teacher:
        """Load a taught teacher.

        Raises:
            ValueError: a file is missing, or a model is not the one that was taught on.
        """
        ...
