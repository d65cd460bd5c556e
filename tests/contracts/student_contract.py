"""What every student must keep to: one function a promise, run over the registry's entries."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from training.encoders.features import FeatureNetwork
from training.students.student import Batch, Student

PRESET = "small"


def new_student(kind: type[Student], features: FeatureNetwork) -> Student:
    """Make an untrained student, always the same."""
    torch.manual_seed(0)
    return kind.create(PRESET, features)


def side_of(student: Student) -> int:
    """Side of pictures that a student trains on: small, but not below what it can draw."""
    least = student.least_side(student.network_config)
    return max(32, -(-least // student.multiple) * student.multiple)


def make_batch(student: Student) -> Batch:
    """Pictures of noise with their grey levels as sketches."""
    side = side_of(student)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, side, side, generator=generator) * 2 - 1
    return Batch(images, images.mean(dim=1, keepdim=True))


def check_phases(student: Student) -> None:
    """Phases have names of their own and share no parameter."""
    phases = student.phases()
    assert len({phase.name for phase in phases}) == len(phases) > 0
    owners = [id(p) for phase in phases for p in phase.module.parameters()]
    assert len(owners) == len(set(owners)) > 0


def check_losses(student: Student) -> None:
    """Losses are finite scalars that teach all of their own phase, and of no other."""
    batch, phases = make_batch(student), student.phases()
    for phase in phases:
        for other in phases:
            other.module.requires_grad_(other is phase)
            other.module.zero_grad(set_to_none=True)
        terms = student.losses(phase.name, batch)
        assert terms and all(t.shape == () and t.isfinite() for t in terms.values())
        torch.stack(list(terms.values())).sum().backward()
        for other in phases:
            taught = [p.grad is not None for p in other.module.parameters()]
            assert all(taught) if other is phase else not any(taught)


def check_drawings(student: Student) -> None:
    """Drawings have the pictures' size, lie in [-1, 1], carry no gradient and see the picture."""
    images = make_batch(student).images
    drawn = student.draw(images)
    assert drawn.shape == (2, 1, *images.shape[2:]) and not drawn.requires_grad
    assert drawn.min() >= -1 and drawn.max() <= 1
    assert not torch.equal(drawn, student.draw(-images))
    assert torch.equal(drawn, student.draw(images))


def check_rebuilding(student: Student) -> None:
    """The network comes back from its configuration, as JSON, and its weights."""
    config = json.loads(json.dumps(student.network_config))
    rebuilt = type(student).network_from(config)
    assert isinstance(rebuilt, nn.Module) and side_of(student) % student.multiple == 0
    rebuilt.load_state_dict(student.network.state_dict())
    images = make_batch(student).images
    torch.testing.assert_close(rebuilt(images), student.draw(images))


def check_least_side(student: Student) -> None:
    """The least side is a positive number of pixels that the network really draws."""
    least = student.least_side(student.network_config)
    assert isinstance(least, int) and least > 0
    side = -(-least // student.multiple) * student.multiple
    drawn: Tensor = student.draw(torch.zeros(1, 3, side, side))
    assert drawn.shape == (1, 1, side, side) and drawn.isfinite().all()


def check_creation(student: Student, features: FeatureNetwork) -> None:
    """An untrained student is a function of the seed."""
    again = new_student(type(student), features)
    for phase, other in zip(student.phases(), again.phases(), strict=True):
        for key, tensor in phase.module.state_dict().items():
            torch.testing.assert_close(other.module.state_dict()[key], tensor, atol=0, rtol=0)


def check_student(kind: type[Student], features: FeatureNetwork) -> None:
    """All promises together."""
    student = new_student(kind, features)
    check_creation(student, features)
    check_phases(student)
    check_losses(student)
    check_drawings(student)
    check_rebuilding(student)
    check_least_side(student)
