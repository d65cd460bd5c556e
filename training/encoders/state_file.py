"""Weights from an untrusted file: tensors only, nothing in it is executed."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_state(path: Path, mistake: type[ValueError]) -> dict[str, Tensor]:
    """Read a state dict of safetensors or of torch.save.

    Args:
        path: its file; the ending .safetensors tells the two apart.
        mistake: the error to raise.

    Raises:
        ValueError: as `mistake`: the file cannot be read, or is not a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        LookupError,
        UnpicklingError,
        SafetensorError,
    ) as error:  # a foreign file makes torch's unpickler fail in any of them
        raise mistake(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(state, dict):
        raise mistake(f"{path}: expected a state dict, got {type(state).__name__}")
    return state
