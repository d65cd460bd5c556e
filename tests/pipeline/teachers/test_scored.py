"""A scoring teacher: the same pairs, more columns, the same batches whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset import layout
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.index import read_index
from pipeline.pair import SampleSpec
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from pipeline.teachers.scored import ScoringTeacher
from pipeline.teachers.teacher import Teacher
from tests.standins.standin_teacher import StandinTeacher, make_plan


class Contrast:
    """Scores a pair by its pixels and, to lay bare the batches, by its slot."""

    fingerprint = {"scorer": "1" * 64}

    def score(self, images: np.ndarray, sketches: np.ndarray) -> Sequence[Mapping[str, float]]:
        assert images.shape == (*sketches.shape, 3) and len(images) == 4
        return [
            {"contrast": float(image.std() - sketch.std()), "slot": float(slot)}
            for slot, (image, sketch) in enumerate(zip(images, sketches, strict=True))
        ]


@pytest.fixture
def teacher() -> ScoringTeacher:
    return ScoringTeacher(StandinTeacher(), Contrast(), slots=4)


def specs(*indices: int) -> list[SampleSpec]:
    return [SampleSpec(index=index, seed=7, duration=16) for index in indices]


def test_is_a_teacher_made_of_both(teacher: ScoringTeacher) -> None:
    assert isinstance(teacher, Teacher) and teacher.image_size == 32
    assert teacher.fingerprint == {"standin": "0" * 64, "scorer": "1" * 64}


def test_pairs_are_the_teachers_own_with_columns_added(teacher: ScoringTeacher) -> None:
    plain = StandinTeacher().pairs(specs(1, 2, 9))
    for own, scored in zip(plain, teacher.pairs(specs(1, 2, 9)), strict=True):
        np.testing.assert_array_equal(own.image, scored.image)
        assert scored.columns == {
            **own.columns,
            "contrast": float(own.image.std() - own.sketch.std()),
            "slot": own.index % 4,
        }


def test_a_sample_alone_is_scored_as_in_company(teacher: ScoringTeacher) -> None:
    together = {pair.index: pair for pair in teacher.pairs(specs(*range(6)))}
    for index in range(6):
        (alone,) = teacher.pairs(specs(index))
        assert encode_pair(alone) == encode_pair(together[index])


def test_scores_are_columns_of_the_index_and_shards_come_out_alike(
    teacher: ScoringTeacher, tmp_path: Path
) -> None:
    plan = make_plan(samples=8).model_copy(update={"fingerprints": teacher.fingerprint})
    tars = []
    for name in ("one", "two"):
        store = open_store(str(tmp_path / name))
        pairs = teacher.pairs([plan.spec(index) for index in plan.indices(0)])
        commit = publish(store, plan, 0, [encode_pair(pair) for pair in pairs]).commit
        tars.append(store.read(commit.tar.name))
        table = read_index(store.read(commit.index.name), commit.pairs)
        assert table["contrast"].to_pylist() == [pair.columns["contrast"] for pair in pairs]
    assert tars[0] == tars[1] and layout.SHARDS in commit.tar.name
