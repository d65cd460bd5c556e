"""Weights from a file that somebody else wrote: tensors only, nothing in it is executed."""

from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_state(path: Path, mistake: type[ValueError]) -> dict[str, Tensor]:
    """Read a state dict of safetensors or torch.save; raises `mistake` where it cannot be read."""
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
    ) as error:
        raise mistake(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(state, dict):
        raise mistake(f"{path}: expected a state dict, got {type(state).__name__}")
    return state
