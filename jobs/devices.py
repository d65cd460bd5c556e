"""Where the work runs: the device and its number format, chosen once."""

import os
from dataclasses import dataclass

import torch

CHOICES = ("auto", "cpu", "cuda", "mps")


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


def choose_machine(device: str = "auto") -> Machine:
    """Pick device and format; ValueError when the device asked for is not there."""
    if device.split(":")[0] not in CHOICES:
        raise ValueError(f"unknown device {device!r}: use one of {', '.join(CHOICES)}")
    if device == "auto":
        device = "cuda" if is_present("cuda") else "cpu"
    if not is_present(device):
        raise ValueError(
            f"device {device!r} is not present on this machine: use --device auto or cpu"
        )
    on_cuda = device.startswith("cuda")
    return Machine(
        device=device,
        # float16 keeps three more mantissa bits than bfloat16, and Stable Diffusion fits its range.
        dtype=torch.float16 if on_cuda else torch.float32,
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=torch.cuda.device_count() if on_cuda else 0,
    )
