"""Seeds are fixed for ever, and streams do not touch."""

from __future__ import annotations

import torch

from pipeline import seeds


def test_values_never_change() -> None:
    # A change here would change every dataset that a plan describes.
    assert seeds.stream_seed(0, 0, "noise") == 0x951C2AACAACDEFB
    assert seeds.stream_seed(7, 123, "condition") == 0x37234E2D0A99C494


def test_streams_samples_and_seeds_are_apart() -> None:
    made = {
        seeds.stream_seed(seed, index, stream)
        for seed in range(3)
        for index in range(50)
        for stream in ("noise", "condition")
    }
    assert len(made) == 300
    assert max(made) < 2**63


def test_generators_repeat() -> None:
    draws = [torch.randn(4, generator=seeds.generator(1, 2, "noise")) for _ in range(2)]
    assert torch.equal(*draws)
