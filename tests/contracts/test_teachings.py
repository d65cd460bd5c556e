"""Every one-shot training of the registry keeps to the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.sections import TEACH_SECTIONS
from pipeline.systems.registry import TEACHERS
from tests.contracts import teaching_contract as contract
from tests.standins import tiny_project
from training.oneshot.inputs import TeachInputs
from training.oneshot.registry import TRAININGS, find_training

# `teach:` of a short training, by the teacher's name.
SETTINGS: dict[str, dict[str, Any]] = {"diffsketch": tiny_project.DIFFSKETCH}


@pytest.fixture(scope="module", params=sorted(TRAININGS))
def inputs(
    request: pytest.FixtureRequest,
    one_thread: None,
    tiny_backbone_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> TeachInputs:
    if request.param not in SETTINGS:
        pytest.fail(f"{request.param}: add its row to SETTINGS in {__file__}")
    teach = {"teacher": request.param} | SETTINGS[request.param]
    return tiny_project.make_inputs(tmp_path_factory.mktemp("p"), tiny_backbone_folder, teach)


def test_the_record_comes_last(inputs: TeachInputs, tmp_path: Path) -> None:
    contract.check_training(find_training(inputs.recipe.teach.teacher), inputs, tmp_path / "t")


def test_an_interrupted_training_is_resumed(inputs: TeachInputs, tmp_path: Path) -> None:
    contract.check_resuming(find_training(inputs.recipe.teach.teacher), inputs, tmp_path)


def test_another_drawing_is_refused(inputs: TeachInputs, tmp_path: Path) -> None:
    contract.check_other_drawing(find_training(inputs.recipe.teach.teacher), inputs, tmp_path)


def test_every_teacher_can_be_taught() -> None:
    assert sorted(TRAININGS) == sorted(TEACHERS) == sorted(TEACH_SECTIONS), "a line is missing"
    with pytest.raises(ValueError, match="no training for a teacher 'other': expected one of"):
        find_training("other")
