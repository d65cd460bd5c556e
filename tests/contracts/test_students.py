"""Every student of the registry keeps to the contract."""

from __future__ import annotations

import pytest

from tests.contracts import student_contract as contract
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.features import FeatureNetwork, load_features
from training.students.registry import STUDENTS, find_student
from training.students.student import Student


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureNetwork:
    return load_features(write_perceptual(tmp_path_factory.mktemp("features")))


@pytest.fixture(params=sorted(STUDENTS))
def student(request: pytest.FixtureRequest, features: FeatureNetwork) -> Student:
    return contract.new_student(STUDENTS[request.param], features)


def test_phases_have_names_and_share_no_parameter(student: Student) -> None:
    contract.check_phases(student)


def test_losses_are_finite_scalars_that_teach_their_phase_alone(student: Student) -> None:
    contract.check_losses(student)


def test_drawings_are_sketches_of_the_same_size(student: Student) -> None:
    contract.check_drawings(student)


def test_the_network_can_be_rebuilt_from_its_config(student: Student) -> None:
    contract.check_rebuilding(student)


def test_the_least_side_can_be_drawn(student: Student) -> None:
    contract.check_least_side(student)


def test_creation_is_a_function_of_the_seed(student: Student, features: FeatureNetwork) -> None:
    contract.check_creation(student, features)


def test_unknown_students_are_refused() -> None:
    with pytest.raises(ValueError, match="no student 'pix3pix': expected one of pix2pixhd"):
        find_student("pix3pix")
