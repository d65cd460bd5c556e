"""The seam of pictures: where images come from that a drawer then draws.

Shapes: B images of a batch, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.arrays import Pixels
from pipeline.pair import SampleSpec
from pipeline.teachers.teacher import TeacherFiles

Columns = Mapping[str, int | float | str]


@dataclass(frozen=True)
class PictureBatch:
    """Images uint8 (B, H, W, 3) with the index's columns, one mapping for each."""

    images: Pixels
    columns: Sequence[Columns]


class Pictures(Protocol):
    """Gives images by address; image i must depend on its spec and on the artefacts only."""

    fingerprint: dict[str, str]
    """SHA-256 of every artefact that images depend on, by name; never empty."""

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        ...

    def pictures(self, specs: Sequence[SampleSpec]) -> PictureBatch:
        """Give the images of `specs`, in their order."""
        ...


class PicturesClass(Protocol):
    """What the registry knows of a source of pictures."""

    def load(self, files: TeacherFiles, image_size: int) -> Pictures:
        """Open the pictures.

        Args:
            files: of the teacher that they are for.
            image_size: side in pixels at which they will be drawn.

        Raises:
            ValueError: a file is missing, of another model, or the size cannot be given.
        """
        ...
