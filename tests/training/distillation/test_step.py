"""One step: in parts as in one piece, compiled as not compiled, and what it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.standins.tiny_encoders import write_perceptual
from training.distillation.process_group import Alone
from training.distillation.spec import Execution
from training.distillation.state import State, load_checkpoint, save_checkpoint
from training.distillation.step import StepSettings, compiles, split_batch, train_step
from training.encoders.features import FeatureNetwork, load_features
from training.students.pix2pixhd import Pix2PixHD
from training.students.student import Batch

SETTINGS = StepSettings(0, 1.0, Alone(), Execution())


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureNetwork:
    """In double precision as everything here, so that only mistakes are seen."""
    return load_features(write_perceptual(tmp_path_factory.mktemp("features"))).double()


def new_state(features: FeatureNetwork) -> State:
    torch.manual_seed(0)
    student = Pix2PixHD.create("small", features)
    for phase in student.phases():
        phase.module.double()
    return State.of(student)


def make_batch(count: int = 5) -> Batch:
    images = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()
    images = images * 2 - 1
    return Batch(images, images.mean(dim=1, keepdim=True))


def gradients_after(
    state: State, settings: StepSettings, rate: float = 0.0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Take a step and return the loss terms and each parameter's gradient."""
    terms = train_step(state, make_batch(), rate, settings)
    gradients = {
        f"{phase.name}.{name}": parameter.grad.clone()
        for phase in state.student.phases()
        for name, parameter in phase.module.named_parameters()
        if parameter.grad is not None
    }
    return terms, gradients


@pytest.fixture(scope="module")
def whole(features: FeatureNetwork) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return gradients_after(new_state(features), SETTINGS)


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        # Biases before a norm have gradients of rounding errors alone.
        scale = max(float(tensor.abs().max()), 1e-3)
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 5, 8])
def test_a_step_in_parts_is_the_step_in_one_piece(
    features: FeatureNetwork,
    whole: tuple[dict[str, Tensor], dict[str, Tensor]],
    micro_batch: int,
) -> None:
    """Two pairs at once, and the last one alone: it counts half as much as the others."""
    execution = replace(SETTINGS.execution, micro_batch=micro_batch)
    terms, gradients = gradients_after(new_state(features), replace(SETTINGS, execution=execution))
    assert_close(terms, whole[0])
    assert_close(gradients, whole[1])


def test_parts_hold_each_pair_once_and_share_nothing_made() -> None:
    batch = make_batch(5)
    parts = split_batch(batch, 2)
    assert [len(part.images) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.sketches for part in parts]), batch.sketches)
    assert len({id(part.made) for part in parts}) == 3
    assert split_batch(batch, None) == [batch]


def test_a_micro_batch_without_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="micro_batch: expected 1 pair or more, got 0"):
        Execution(micro_batch=0)


def test_gradients_are_averaged_once_a_phase_whatever_the_parts(
    features: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaging = Alone.averaging
    seen = []

    def counted(self: Alone, parameters: object, weight: float) -> object:
        seen.append(weight)
        return averaging(self, parameters, weight)  # type: ignore[arg-type]

    monkeypatch.setattr(Alone, "averaging", counted)
    execution = replace(SETTINGS.execution, micro_batch=1)
    train_step(new_state(features), make_batch(), 1e-4, StepSettings(0, 0.25, Alone(), execution))
    assert seen == [0.25, 0.25]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_compiled_step_is_the_same_and_keeps_names_and_checkpoint(
    features: FeatureNetwork, whole: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    state, plain = new_state(features), new_state(features)
    names = [phase.module.state_dict().keys() for phase in state.student.phases()]
    state.student.compile()
    terms, gradients = gradients_after(state, SETTINGS)
    assert_close(terms, whole[0])
    assert_close(gradients, whole[1])
    assert [phase.module.state_dict().keys() for phase in state.student.phases()] == names
    save_checkpoint(tmp_path, state, {})
    assert load_checkpoint(tmp_path, plain, {}) and plain.iteration == 1
    images = make_batch(2).images
    assert torch.equal(plain.student.draw(images), state.student.draw(images))


@pytest.mark.parametrize(
    ("device", "asked", "found", "compiled"),
    [
        ("cpu", None, True, False),
        ("cuda:1", None, True, True),
        ("cuda", None, False, False),
        ("cpu", True, True, True),
        ("cuda", False, True, False),
    ],
)
def test_networks_are_compiled_on_gpus_or_on_request(
    monkeypatch: pytest.MonkeyPatch, device: str, asked: bool | None, found: bool, compiled: bool
) -> None:
    which: Callable[[str], str | None] = lambda name: f"/bin/{name}" if found else None  # noqa: E731
    monkeypatch.setattr("shutil.which", which)
    assert compiles(Execution(device=device, compile=asked)) is compiled


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"expected a compiler \(g\+\+ or clang\+\+, or \$CXX\)"):
        compiles(Execution(compile=True))
