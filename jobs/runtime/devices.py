"""Where the work runs: the device and its number format, chosen once."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from jobs.runtime.cores import usable_cores

# torch takes more names ("meta", "cpu:1"), with which nothing here works.
_KNOWN = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9][0-9]*))?")
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Asked:
    """The device and number format that a person asked for; `auto` leaves them to the machine.

    Raises:
        ValueError: one of them is unknown.
    """

    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        _check_device(self.device)
        choose_dtype(self.dtype, self.device)


@dataclass(frozen=True)
class Machine:
    """What the commands may use: device, its floating-point format, cores and GPUs."""

    device: str
    dtype: torch.dtype
    num_cpus: int
    num_gpus: int


def choose_machine(device: str = "auto", dtype: str = "auto") -> Machine:
    """Pick device and number format.

    Raises:
        ValueError: the device or the format is unknown, or the device is not there.
    """
    _check_device(device)
    if device == "auto":
        device = "cuda" if _is_present("cuda") else "cpu"
    if not _is_present(device):
        raise ValueError(
            f"device {device!r} is not present on this machine, which has "
            f"{', '.join(('cpu', *_gpus()))}: use --device auto or one of these"
        )
    return Machine(
        device=device,
        dtype=choose_dtype(dtype, device),
        num_cpus=usable_cores(),
        num_gpus=torch.cuda.device_count() if device.startswith("cuda") else 0,
    )


def _check_device(device: str) -> None:
    if not _KNOWN.fullmatch(device):
        raise ValueError(f"unknown device {device!r}: use auto, cpu, cuda or cuda:N, or mps")


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Pick a number format; ValueError for an unknown one."""
    if dtype == "auto":
        # float16 keeps three more mantissa bits than bfloat16, and Stable Diffusion fits its range.
        return torch.float16 if device.startswith("cuda") else torch.float32
    if dtype not in DTYPES:
        raise ValueError(f"unknown number format {dtype!r}: use auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _is_present(device: str) -> bool:
    """Tell whether torch can use a device here."""
    if device == "mps":
        return torch.backends.mps.is_available()
    return device in ("cpu", *_gpus()) or (device == "cuda" and bool(_gpus()))


def _gpus() -> list[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{number}" for number in range(count)]
