"""Ray for the length of one job: a private local cluster, or the one that RAY_ADDRESS names."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from jobs.cli.errors import catch_sigterm
from jobs.runtime.devices import Machine

# Ray's sockets lie some 60 characters below this folder, and a socket's path holds 107.
MAX_TEMP_PATH_CHARS = 40
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DEDUP_LOGS": "1",
}


def short_temp_root() -> str | None:
    """Give a folder for Ray's sockets; None leaves the choice to tempfile."""
    root = Path(tempfile.gettempdir())
    return "/tmp" if len(str(root)) > MAX_TEMP_PATH_CHARS else None


def init_options(machine: Machine, temp: str) -> dict[str, Any]:
    """Choose ray.init's arguments from the machine and RAY_ADDRESS."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS", "local")
    if address != "local":
        return {"address": address, **quiet}
    return {
        "address": "local",
        "num_cpus": machine.num_cpus,
        "num_gpus": machine.num_gpus,
        "include_dashboard": False,
        "_temp_dir": temp,
        **quiet,
    }


@contextmanager
def ray_runtime(machine: Machine) -> Iterator[None]:
    """Start Ray and stop it again; inside another ray_runtime nothing is started or stopped."""
    if ray.is_initialized():
        yield
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir=short_temp_root(), ignore_cleanup_errors=True
    ) as temp:
        ray.init(**init_options(machine, temp))
        # Ray puts its own SIGTERM handler in, which would end the process without unwinding.
        catch_sigterm()
        try:
            yield
        finally:
            ray.shutdown()
