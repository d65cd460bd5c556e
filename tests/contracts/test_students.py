"""What every student of the registry must keep to."""

import json

import pytest
import torch
from torch import nn

from tests.standins.tiny_encoders import write_perceptual
from training.encoders.features import load_features
from training.students.registry import STUDENTS, find_student
from training.students.student import Batch


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return load_features(write_perceptual(tmp_path_factory.mktemp("features")))


@pytest.fixture(params=sorted(STUDENTS))
def student(request, features):
    torch.manual_seed(0)
    return STUDENTS[request.param].create("small", features)


def make_batch():
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch(images, images.mean(dim=1, keepdim=True))


def test_phases_have_names_and_share_no_parameter(student):
    phases = student.phases()
    assert len({phase.name for phase in phases}) == len(phases) > 0
    owners = [id(p) for phase in phases for p in phase.module.parameters()]
    assert len(owners) == len(set(owners))


def test_losses_are_finite_scalars_that_teach_their_phase_alone(student):
    batch, phases = make_batch(), student.phases()
    for phase in phases:
        for other in phases:
            other.module.requires_grad_(other is phase)
            other.module.zero_grad(set_to_none=True)
        terms = student.losses(phase.name, batch)
        assert terms and all(t.shape == () and t.isfinite() for t in terms.values())
        sum(terms.values()).backward()
        for other in phases:
            taught = [p.grad is not None for p in other.module.parameters()]
            assert all(taught) if other is phase else not any(taught)


def test_predictions_are_sketches_of_the_same_size(student):
    images = make_batch().images
    drawn = student.predict(images)
    assert drawn.shape == (2, 1, 32, 32) and not drawn.requires_grad
    assert drawn.min() >= -1 and drawn.max() <= 1
    assert not torch.equal(drawn, student.predict(-images))


def test_the_network_can_be_rebuilt_from_its_config(student):
    config = json.loads(json.dumps(student.network_config))
    rebuilt = type(student).network_from(config)
    assert isinstance(rebuilt, nn.Module) and 32 % student.multiple == 0
    rebuilt.load_state_dict(student.network.state_dict())
    images = make_batch().images
    torch.testing.assert_close(rebuilt(images), student.predict(images))


def test_creation_is_a_function_of_the_seed(student, features):
    torch.manual_seed(0)
    again = type(student).create("small", features)
    for phase, other in zip(student.phases(), again.phases(), strict=True):
        for key, tensor in phase.module.state_dict().items():
            torch.testing.assert_close(other.module.state_dict()[key], tensor, atol=0, rtol=0)


def test_unknown_students_are_refused():
    with pytest.raises(ValueError, match="no student 'pix3pix': expected one of pix2pixhd"):
        find_student("pix3pix")
