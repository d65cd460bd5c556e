"""Checkpoints: what comes back, what is refused, and Adam's moments."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training.checkpoint import (
    CHECKPOINT,
    HISTORY,
    Checkpoint,
    OtherRunError,
    adam_tensors,
    read_checkpoint,
    restore_adam,
    trim_history,
    write_checkpoint,
)

IDENTITY = {"steps": 9, "weights": (1, 2)}


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, IDENTITY) is None
    tensors = {"a.x": torch.arange(6).view(2, 3).T, "b": torch.tensor(2.0)}
    write_checkpoint(tmp_path, Checkpoint(4, tensors), IDENTITY)
    found = read_checkpoint(tmp_path, IDENTITY)
    assert found is not None
    assert found.iteration == 4 and found.tensors.keys() == tensors.keys()
    assert list(found.under("a.")) == ["x"]
    torch.testing.assert_close(found.under("a.")["x"], tensors["a.x"], rtol=0, atol=0)


def test_another_training_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Checkpoint(1, {}), IDENTITY)
    with pytest.raises(OtherRunError, match=r"seed: None -> 3; steps: 9 -> 8"):
        read_checkpoint(tmp_path, IDENTITY | {"steps": 8, "seed": 3})


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"iteration": "1"},
        {"identity": "{}"},
        {"iteration": "one", "identity": "{}"},
        {"iteration": "1", "identity": "{"},
    ],
)
def test_a_checkpoint_of_another_kind_is_named(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / CHECKPOINT, metadata)
    with pytest.raises(ValueError, match=rf"{CHECKPOINT} cannot be read .*Remove it to start"):
        read_checkpoint(tmp_path, {})


def test_half_a_checkpoint_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Checkpoint(1, {"a": torch.ones(9)}), IDENTITY)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=rf"{CHECKPOINT} cannot be read"):
        read_checkpoint(tmp_path, IDENTITY)


def test_adam_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    network[1].requires_grad_(False)  # a parameter without moments
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)

    def step(module: nn.Module, adam: torch.optim.Adam) -> None:
        adam.zero_grad()
        module(torch.ones(5, 3)).square().mean().backward()
        adam.step()

    for _ in range(3):
        step(network, optimiser)
    resumed = copy.deepcopy(network)
    fresh = torch.optim.Adam(resumed.parameters(), lr=0.1)
    kept = {name: tensor.clone() for name, tensor in adam_tensors(network, optimiser).items()}
    assert sorted(kept) == sorted(
        f"{moment}.0.{name}"
        for moment in ("step", "exp_avg", "exp_avg_sq")
        for name in ("weight", "bias")
    )
    restore_adam(resumed, fresh, kept)
    for module, adam in ((network, optimiser), (resumed, fresh)):
        step(module, adam)
    for a, b in zip(network.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_the_history_is_cut_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / HISTORY
    path.write_text('{"i": 1}\n{"i": 2}\n{"i": 3}\n{"i"')
    trim_history(tmp_path, 2)
    assert [json.loads(line)["i"] for line in path.read_text().splitlines()] == [1, 2]
    trim_history(tmp_path / "new", 0)
    assert (tmp_path / "new" / HISTORY).read_text() == ""
