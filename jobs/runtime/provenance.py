"""Where a result comes from: versions, machine, fingerprints, encoders."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from jobs.runtime.devices import Machine

PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "lpips", "ray", "webdataset")


def versions() -> dict[str, str]:
    """Give the versions of Python, of this package and of those that the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("onesketch", *PACKAGES):
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
    """Give the facts of a machine that times depend on."""
    gpu = {"gpu": torch.cuda.get_device_name(machine.device)} if machine.num_gpus else {}
    return {
        "device": machine.device,
        "dtype": str(machine.dtype).removeprefix("torch."),
        "cores": machine.num_cpus,
        "processor": processor(),
        "system": platform.platform(terse=True),
        **gpu,
    }
