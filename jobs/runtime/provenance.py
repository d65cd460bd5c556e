"""Where a result comes from: versions of software, and the machine."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from jobs.runtime.devices import Machine

_PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "lpips", "ray", "webdataset")


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("onesketch", *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def processor() -> str:
    """Name the processor as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()


def describe_machine(machine: Machine) -> dict[str, Any]:
    """Return what times depend on: device, number format, cores, processor, system, GPU."""
    gpu = {"gpu": torch.cuda.get_device_name(machine.device)} if machine.num_gpus else {}
    return {
        "device": machine.device,
        "dtype": str(machine.dtype).removeprefix("torch."),
        "cores": machine.num_cpus,
        "processor": processor(),
        "system": platform.platform(terse=True),
        **gpu,
    }
