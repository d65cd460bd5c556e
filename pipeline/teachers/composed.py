"""A teacher made of two parts: pictures from one, drawn by the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.pair import Pair, SampleSpec
from pipeline.seeds import generator
from pipeline.teachers.drawer import Drawer
from pipeline.teachers.pictures import Pictures
from pipeline.teachers.slots import slot_batches
from pipeline.teachers.teacher import join_fingerprints

DRAW_STREAM = "draw"


class PicturesTeacher:
    """Draws the images of any source with any drawer.

    Raises:
        ValueError: the two work at different sizes, or with two models of one kind.
    """

    def __init__(self, pictures: Pictures, drawer: Drawer) -> None:
        if pictures.image_size != drawer.image_size:
            raise ValueError(
                f"pictures of {pictures.image_size} pixels a side cannot be drawn by a drawer that "
                f"works at {drawer.image_size}"
            )
        self.pictures = pictures
        self.drawer = drawer
        self.fingerprint = join_fingerprints(pictures.fingerprint, drawer.fingerprint)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return self.pictures.image_size

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order."""
        made: list[Pair] = []
        for batch in slot_batches(specs, self.drawer.batch):
            given = self.pictures.pictures(batch.filled)
            random = [generator(spec.seed, spec.index, DRAW_STREAM) for spec in batch.filled]
            drawn = self.drawer.draw(given.images, random)
            for spec in batch.asked:
                slot = batch.slot(spec)
                columns = {**given.columns[slot], **drawn.columns[slot]}
                image, sketch = np.array(given.images[slot]), np.array(drawn.sketches[slot])
                made.append(Pair(spec.index, image, sketch, columns))
        return made
