"""A distillation under way, and its checkpoint: one safetensors file, written whole or not at all.

Learning rate, data cursor and every random number are functions of the iteration, so that with
the weights and Adam's moments the iteration is all that has to be kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.oneshot.state import check_identity
from training.students.student import Phase, Student

CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's state of one parameter


@dataclass
class Training:
    """`iteration` are done; `snapshots` are the strip's sketches by iteration."""

    student: Student
    optimisers: dict[str, torch.optim.Adam]  # by phase
    iteration: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)  # uint8 (rows, H, W)


def begin(student: Student) -> Training:
    """Give each phase its optimiser; the rate is set anew in every iteration."""
    return Training(
        student,
        {
            phase.name: torch.optim.Adam(phase.module.parameters(), betas=phase.betas)
            for phase in student.phases()
        },
    )


def save_checkpoint(folder: Path, training: Training, identity: Mapping[str, Any]) -> None:
    """Write the checkpoint, replacing the one before."""
    tensors = {f"strip.{i}": sketches for i, sketches in training.snapshots.items()}
    for phase in training.student.phases():
        tensors |= _tensors_of(phase, training.optimisers[phase.name])
    metadata = {"iteration": str(training.iteration), "identity": json.dumps(dict(identity))}
    partial = folder / f"{CHECKPOINT}.part"
    save_file(
        {name: t.detach().cpu().contiguous() for name, t in tensors.items()},
        partial,
        metadata=metadata,
    )
    os.replace(partial, folder / CHECKPOINT)


def load_checkpoint(folder: Path, training: Training, identity: Mapping[str, Any]) -> bool:
    """Bring a fresh training to where the folder's checkpoint stands; False without one.

    Raises OtherLessonError when it is of another course, ValueError when it cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}). Remove it to start again") from error
    check_identity(path, json.loads(metadata["identity"]), identity)
    for phase in training.student.phases():
        phase.module.load_state_dict(_under(f"{phase.name}.weights.", tensors))
        moments = _under(f"{phase.name}.adam.", tensors)
        _restore_adam(phase, training.optimisers[phase.name], moments)
    training.snapshots = {int(i): t for i, t in _under("strip.", tensors).items()}
    training.iteration = int(metadata["iteration"])
    return True


def _tensors_of(phase: Phase, optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    tensors = {f"{phase.name}.weights.{name}": t for name, t in phase.module.state_dict().items()}
    for name, parameter in phase.module.named_parameters():
        state = optimiser.state.get(parameter, {})
        tensors |= {f"{phase.name}.adam.{moment}.{name}": state[moment] for moment in state}
    return tensors


def _restore_adam(phase: Phase, optimiser: torch.optim.Adam, moments: Mapping[str, Tensor]) -> None:
    names = [name for name, _ in phase.module.named_parameters()]
    state = {
        number: {moment: moments[f"{moment}.{name}"] for moment in MOMENTS}
        for number, name in enumerate(names)
        if f"step.{name}" in moments
    }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
