"""Where the work runs: the device and its number format, chosen once."""

import os
import re
from dataclasses import dataclass

import torch

# torch takes more names ("meta", "cpu:1"), with which nothing here works.
_KNOWN = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9][0-9]*))?")
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
    if device == "mps":
        return torch.backends.mps.is_available()
    return device in ("cpu", *_gpus()) or (device == "cuda" and bool(_gpus()))


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Pick the number format of the backbone; ValueError for an unknown one."""
    if dtype == "auto":
        # float16 keeps three more mantissa bits than bfloat16, and Stable Diffusion fits its range.
        return torch.float16 if device.startswith("cuda") else torch.float32
    if dtype not in DTYPES:
        raise ValueError(f"unknown number format {dtype!r}: use auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def choose_machine(device: str = "auto", dtype: str = "auto") -> Machine:
    """Pick device and format; ValueError when the device asked for is unknown or not there."""
    if not _KNOWN.fullmatch(device):
        raise ValueError(f"unknown device {device!r}: use auto, cpu, cuda or cuda:N, or mps")
    if device == "auto":
        device = "cuda" if is_present("cuda") else "cpu"
    if not is_present(device):
        raise ValueError(
            f"device {device!r} is not present on this machine, which has "
            f"{', '.join(('cpu', *_gpus()))}: use --device auto or one of these"
        )
    return Machine(
        device=device,
        dtype=choose_dtype(dtype, device),
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=torch.cuda.device_count() if device.startswith("cuda") else 0,
    )


def _gpus() -> list[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{number}" for number in range(count)]
