"""A teacher of pictures and a drawer: randomness by address, columns of both, one fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pipeline.arrays import Pixels
from pipeline.pair import SampleSpec
from pipeline.teachers.composed import PicturesTeacher
from pipeline.teachers.drawer import DrawnBatch
from pipeline.teachers.pictures import PictureBatch
from tests.contracts import teacher_contract as contract

SIDE = 8


class NumberedPictures:
    """Pictures that show their sample's number."""

    image_size = SIDE

    def __init__(self, model: str) -> None:
        self.fingerprint = {"backbone/unet": model, "pictures": "1" * 64}

    def pictures(self, specs: Sequence[SampleSpec]) -> PictureBatch:
        images = [np.full((SIDE, SIDE, 3), 20 * spec.index, np.uint8) for spec in specs]
        return PictureBatch(np.stack(images), [{"number": spec.index} for spec in specs])


class NoiseDrawer:
    """Draws noise, and says how much; its batches are of three."""

    batch = 3

    def __init__(self, model: str, image_size: int = SIDE) -> None:
        self.image_size = image_size
        self.fingerprint = {"backbone/unet": model, "drawer": "2" * 64}

    def draw(self, images: Pixels, generators: Sequence[torch.Generator]) -> DrawnBatch:
        shape = (self.image_size, self.image_size)
        noise = [torch.randint(256, shape, generator=g, dtype=torch.uint8) for g in generators]
        sketches = torch.stack(noise).numpy()
        return DrawnBatch(sketches, [{"level": float(sketch.mean())} for sketch in sketches])


def test_a_sketch_is_drawn_by_its_own_random_numbers() -> None:
    teacher = PicturesTeacher(NumberedPictures("a"), NoiseDrawer("a"))
    contract.check_pairs(teacher)
    contract.check_addresses(teacher)
    pairs = teacher.pairs(contract.specs(*range(7)))
    assert len({pair.sketch.tobytes() for pair in pairs}) == 7
    for pair in pairs:
        assert (pair.image == 20 * pair.index).all()
        assert dict(pair.columns) == {"number": pair.index, "level": pair.sketch.mean()}


def test_both_parts_must_have_the_same_model_and_size() -> None:
    joined = PicturesTeacher(NumberedPictures("a"), NoiseDrawer("a")).fingerprint
    assert joined == {"backbone/unet": "a", "pictures": "1" * 64, "drawer": "2" * 64}
    with pytest.raises(ValueError, match=r"two parts of a teacher depend on backbone/unet"):
        PicturesTeacher(NumberedPictures("a"), NoiseDrawer("b"))
    with pytest.raises(ValueError, match="pictures of 8 pixels a side .* works at 16"):
        PicturesTeacher(NumberedPictures("a"), NoiseDrawer("a", 16))
