"""What one-shot training leaves in its folder while it runs: checkpoint, history, record.

Every file is written beside its place and renamed into it, so that a kill at any moment leaves
the last whole version. A checkpoint is one file: weights and the iteration cannot fall apart.
"""

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

from pipeline.gsketch.network import GSketch
from training.oneshot.spec import differences

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"
RECORD = "teach.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's state of one parameter


class OtherLessonError(ValueError):
    """The folder holds the training of another lesson."""


@dataclass
class Progress:
    """A training under way: `iteration` are done; `snapshots` are strip sketches by iteration."""

    network: GSketch
    optimiser: torch.optim.Adam
    iteration: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)  # uint8 (rows, H, W)


def save_checkpoint(folder: Path, progress: Progress, identity: Mapping[str, Any]) -> None:
    """Write the checkpoint of a training, replacing the one before."""
    tensors = {f"network.{name}": t for name, t in progress.network.state_dict().items()}
    tensors |= {f"strip.{i}": sketches for i, sketches in progress.snapshots.items()}
    for name, parameter in progress.network.named_parameters():
        state = progress.optimiser.state.get(parameter, {})
        tensors |= {f"adam.{moment}.{name}": state[moment] for moment in state}
    metadata = {"iteration": str(progress.iteration), "identity": json.dumps(dict(identity))}
    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    partial = folder / f"{CHECKPOINT}.part"
    save_file(contiguous, partial, metadata=metadata)
    os.replace(partial, folder / CHECKPOINT)


def load_checkpoint(folder: Path, progress: Progress, identity: Mapping[str, Any]) -> bool:
    """Bring a fresh training to where the folder's checkpoint stands; False without one.

    Raises OtherLessonError when the checkpoint is of another lesson, naming what differs.
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
    progress.network.load_state_dict(_under("network.", tensors))
    _restore_adam(progress, _under("adam.", tensors))
    progress.snapshots = {int(i): t for i, t in _under("strip.", tensors).items()}
    progress.iteration = int(metadata["iteration"])
    return True


def check_identity(path: Path, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on with the training of another lesson (or course)."""
    # Through JSON, as the known one went: tuples come back as lists.
    found = differences(known, json.loads(json.dumps(dict(asked))))
    if found:
        raise OtherLessonError(
            f"{path} is of another lesson ({'; '.join(found)}). Use another run folder, restore "
            f"the settings, or remove {path.parent} to start again"
        )


def keep_history(folder: Path, iterations: int) -> None:
    """Cut the history to the first iterations: what came after the checkpoint was lost."""
    path = folder / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    # A killed run may leave half a last line, which is always beyond the checkpoint.
    write_text(path, "".join(line + "\n" for line in lines[:iterations]))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _restore_adam(progress: Progress, moments: Mapping[str, Tensor]) -> None:
    names = [name for name, _ in progress.network.named_parameters()]
    state = {
        number: {moment: moments[f"{moment}.{name}"] for moment in MOMENTS}
        for number, name in enumerate(names)
        if f"step.{name}" in moments
    }
    groups = progress.optimiser.state_dict()["param_groups"]
    progress.optimiser.load_state_dict({"state": state, "param_groups": groups})
