"""What a training keeps in its folder so that it can be resumed: checkpoint, history, identity.

A checkpoint is one safetensors file that is written whole or not at all. Learning rate, data cursor
and every random number of a training are functions of its iteration, so that with the weights and
Adam's moments the iteration is all that has to be kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pipeline.whole_file import write_tensors, write_text

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"
_HASH = re.compile(r"[0-9a-f]{64}")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's state of one parameter


class OtherRunError(ValueError):
    """The folder holds another training than the one asked for; the message says what differs."""


class DivergenceError(ValueError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: how many iterations are done, and the tensors by name."""

    iteration: int
    tensors: Mapping[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with a prefix, by the rest of their names."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def write_checkpoint(folder: Path, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint into a training's folder, in place of the one before."""
    metadata = {"iteration": str(checkpoint.iteration), "identity": json.dumps(dict(identity))}
    write_tensors(folder / CHECKPOINT, checkpoint.tensors, metadata)


def read_checkpoint(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """Read the checkpoint of a training's folder; None without one.

    Raises:
        OtherRunError: it is of another training.
        ValueError: it cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        iteration, stored = int(metadata["iteration"]), json.loads(metadata["identity"])
    except (SafetensorError, OSError, LookupError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}). Remove it to start again") from error
    check_identity(path, stored, identity)
    return Checkpoint(iteration, tensors)


def adam_tensors(network: nn.Module, optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """Return Adam's moments as MOMENT.PARAMETER, for the parameters that have any yet."""
    return {
        f"{moment}.{name}": value
        for name, parameter in network.named_parameters()
        for moment, value in optimiser.state.get(parameter, {}).items()
    }


def restore_adam(
    network: nn.Module, optimiser: torch.optim.Adam, moments: Mapping[str, Tensor]
) -> None:
    """Give an optimiser the moments that `adam_tensors` took."""
    names = [name for name, _ in network.named_parameters()]
    state = {
        number: {moment: moments[f"{moment}.{name}"] for moment in MOMENTS}
        for number, name in enumerate(names)
        if f"step.{name}" in moments
    }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def check_identity(path: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to resume another training.

    Args:
        path: the file with the stored identity, for the message.

    Raises:
        OtherRunError: the identities differ.
    """
    # Through JSON, as the stored one: tuples become lists.
    found = differences(stored, json.loads(json.dumps(dict(asked))))
    if found:
        raise OtherRunError(
            f"{path} belongs to another training ({'; '.join(found)}). Use another run folder, "
            f"restore the settings, or remove {path.parent} to start anew"
        )


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Name what differs between two identities: "key: stored -> asked", of hashes "key changed"."""
    keys = sorted(stored.keys() | asked.keys())
    return [
        _difference(key, stored.get(key), asked.get(key))
        for key in keys
        if stored.get(key) != asked.get(key)
    ]


def _difference(key: str, stored: object, asked: object) -> str:
    if _HASH.fullmatch(str(stored)) and _HASH.fullmatch(str(asked)):
        return f"{key} changed"
    return f"{key}: {stored} -> {asked}"


def trim_history(folder: Path, iterations: int) -> None:
    """Cut the history to the first iterations: what came after the checkpoint was lost."""
    path = folder / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    # A killed run may leave half a last line, which is always beyond the checkpoint.
    write_text(path, "".join(line + "\n" for line in lines[:iterations]))
