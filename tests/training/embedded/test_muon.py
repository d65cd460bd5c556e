"""Muon against torch's own, which rounds to bfloat16."""

from __future__ import annotations

import pytest
import torch

from training.embedded.muon import Muon


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (12, 12)])
def test_steps_are_those_of_torch_to_the_rounding_of_bfloat16(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([ours], lr=1e-2)
    other = torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for parameter in (ours, theirs):
            parameter.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        mine.step()
        other.step()
    moved, expected = ours.detach() - start, theirs.detach() - start
    assert (moved - expected).norm() < 0.02 * expected.norm()


def test_a_matrix_without_gradient_stays() -> None:
    matrix = torch.nn.Parameter(torch.ones(3, 4))
    Muon([matrix], lr=1.0).step()
    assert torch.equal(matrix, torch.ones(3, 4))
