"""The state of a distillation, and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.checkpoint import (
    Checkpoint,
    adam_tensors,
    read_checkpoint,
    restore_adam,
    write_checkpoint,
)
from training.students.student import Student


@dataclass
class State:
    """What changes from iteration to iteration.

    Attributes:
        optimisers: by the name of the phase.
        iteration: how many are done.
        snapshots: sketches of the fixed pictures by iteration, uint8 (pictures, H, W).
    """

    student: Student
    optimisers: dict[str, torch.optim.Adam]
    iteration: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, student: Student) -> State:
        """Give each phase of an untrained student its optimiser; rates are set in each step."""
        optimisers = {
            phase.name: torch.optim.Adam(phase.module.parameters(), betas=phase.betas)
            for phase in student.phases()
        }
        return cls(student, optimisers)


def save_checkpoint(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Write the checkpoint of a training, in place of the one before."""
    tensors = {f"strip.{i}": sketches for i, sketches in state.snapshots.items()}
    for phase in state.student.phases():
        weights = phase.module.state_dict()
        moments = adam_tensors(phase.module, state.optimisers[phase.name])
        tensors |= {f"{phase.name}.weights.{name}": t for name, t in weights.items()}
        tensors |= {f"{phase.name}.adam.{name}": t for name, t in moments.items()}
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
    for phase in state.student.phases():
        phase.module.load_state_dict(found.under(f"{phase.name}.weights."))
        moments = found.under(f"{phase.name}.adam.")
        restore_adam(phase.module, state.optimisers[phase.name], moments)
    state.snapshots = {int(i): t for i, t in found.under("strip.").items()}
    state.iteration = found.iteration
    return True
