"""The loop that trains each embedded model: resuming, schedule, averaging."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.checkpoint import OtherRunError
from training.embedded.loop import EmbeddedSchedule, LossFn, TrainingState, learning_rate_at, train

SCHEDULE = EmbeddedSchedule(steps=12, learning_rate=1e-2, warmup=2, averaging=0.9)
ORIGIN = {"seed": 0}


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(64, 3))


def loss_of(module: nn.Module) -> LossFn:
    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        x = torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(step))
        return (module(x) - x.mean((1, 2, 3))[:, None]).square().mean(), {}

    return loss_fn


def silent(name: str, **fields: object) -> None:
    pass


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = network()
    train(whole, loss_of(whole), SCHEDULE, tmp_path / "whole", silent, ORIGIN)

    broken = network()
    state = TrainingState(broken, SCHEDULE, tmp_path / "broken", ORIGIN)
    for _ in range(5):
        state.advance(loss_of(broken))
    state.save()
    resumed = network()
    train(resumed, loss_of(resumed), SCHEDULE, tmp_path / "broken", silent, ORIGIN)

    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    state = TrainingState(network(), SCHEDULE, tmp_path, ORIGIN)
    state.save()
    module = network()
    with pytest.raises(OtherRunError, match="seed: 0 -> 1"):
        train(module, loss_of(module), SCHEDULE, tmp_path, silent, {"seed": 1})
    longer = replace(SCHEDULE, steps=13, checkpoint_every_s=1.0)
    with pytest.raises(OtherRunError, match=r"\(steps: 12 -> 13\)"):
        train(module, loss_of(module), longer, tmp_path, silent, ORIGIN)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    module = network()
    before = loss_of(module)(99)[0].item()
    train(module, loss_of(module), EmbeddedSchedule(60, 1e-2, warmup=2), tmp_path, silent, ORIGIN)
    assert loss_of(module)(99)[0].item() < before / 4


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    schedule = EmbeddedSchedule(steps=100, learning_rate=2.0, warmup=10, decay_share=0.5)
    rates = [learning_rate_at(schedule, s) for s in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[50] == 2.0
    assert rates[75] == pytest.approx(1.0)
    assert rates[100] == 0.0


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    module = network()
    with pytest.raises(ValueError, match="step 0"):
        train(
            module,
            lambda s: (module(torch.full((1, 2, 6, 6), torch.inf)).sum(), {}),
            SCHEDULE,
            tmp_path,
            silent,
            ORIGIN,
        )
