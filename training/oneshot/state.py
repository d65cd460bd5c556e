"""The state of one-shot training, and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.gsketch.network import GSketch
from training.checkpoint import (
    Checkpoint,
    adam_tensors,
    read_checkpoint,
    restore_adam,
    write_checkpoint,
)


@dataclass
class State:
    """What changes from iteration to iteration.

    Attributes:
        iteration: how many are done.
        snapshots: sketches of the fixed pictures by iteration, uint8 (pictures, H, W).
    """

    network: GSketch
    optimiser: torch.optim.Adam
    iteration: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)


def save_checkpoint(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Write the checkpoint of a training, in place of the one before."""
    tensors = {f"network.{name}": t for name, t in state.network.state_dict().items()}
    tensors |= {f"strip.{i}": sketches for i, sketches in state.snapshots.items()}
    moments = adam_tensors(state.network, state.optimiser)
    tensors |= {f"adam.{name}": t for name, t in moments.items()}
    write_checkpoint(folder, Checkpoint(state.iteration, tensors), identity)


def load_checkpoint(folder: Path, state: State, identity: Mapping[str, Any]) -> bool:
    """Load the folder's checkpoint into a fresh state; return False without one.

    Raises:
        OtherRunError: the checkpoint is of another training.
        ValueError: it cannot be read.
    """
    found = read_checkpoint(folder, identity)
    if found is None:
        return False
    state.network.load_state_dict(found.under("network."))
    restore_adam(state.network, state.optimiser, found.under("adam."))
    state.snapshots = {int(i): t for i, t in found.under("strip.").items()}
    state.iteration = found.iteration
    return True
