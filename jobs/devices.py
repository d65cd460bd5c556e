"""Where the work runs: the device and its number format, chosen once."""

import os
from dataclasses import dataclass

import torch

CHOICES = ("auto", "cpu", "cuda", "mps")
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Machine:
    """What the commands may use: device, its floating-point format, cores and GPUs."""

    device: str
    dtype: torch.dtype
    num_cpus: int
    num_gpus: int


def is_present(device: str) -> bool:
    """Say whether torch can use a device here."""
    kind = device.split(":")[0]
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Pick the number format of the backbone; ValueError for an unknown one."""
    if dtype == "auto":
        # float16 keeps three more mantissa bits than bfloat16, and Stable Diffusion fits its range.
        return torch.float16 if device.startswith("cuda") else torch.float32
    if dtype not in DTYPES:
        raise ValueError(f"unknown number format {dtype!r}: use auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def choose_machine(device: str = "auto", dtype: str = "auto") -> Machine:
    """Pick device and format; ValueError when the device asked for is not there."""
    if device.split(":")[0] not in CHOICES:
        raise ValueError(f"unknown device {device!r}: use one of {', '.join(CHOICES)}")
    if device == "auto":
        device = "cuda" if is_present("cuda") else "cpu"
    if not is_present(device):
        raise ValueError(
            f"device {device!r} is not present on this machine: use --device auto or cpu"
        )
    return Machine(
        device=device,
        dtype=choose_dtype(dtype, device),
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=torch.cuda.device_count() if device.startswith("cuda") else 0,
    )
