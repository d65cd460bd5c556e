"""Ray for the length of one job: a private local cluster, or the one that RAY_ADDRESS names."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from jobs.nodes.cluster import in_cluster, machine_of_nodes
from jobs.runtime.devices import Asked, Machine, choose_machine
from jobs.runtime.interrupts import catch_sigterm

# A socket's path holds 107 characters, of which Ray's own part and our folder's name take so many:
# /ray-12345678/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store
_MAX_TEMP_PATH_CHARS = 107 - 77
# How long a head may take until it answers.
_HEAD_STARTS_S = 10.0
_TOKEN, _TOKEN_SETTINGS = "RAY_AUTH_TOKEN", ("RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DEDUP_LOGS": "1",
}


@contextmanager
def ray_runtime(asked: Asked | Machine) -> Iterator[None]:
    """Start Ray and stop it again; inside another ray_runtime nothing is started or stopped.

    Raises:
        ValueError: this machine, which is to be the cluster, lacks the device asked for.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not in_cluster() and not any(name in os.environ for name in _TOKEN_SETTINGS):
        # Ray would write one into the home folder, where a container's user may have none.
        os.environ.setdefault(_TOKEN, secrets.token_hex(16))
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir=_short_temp_root(), ignore_cleanup_errors=True
    ) as temp:
        ray.init(**_init_options(asked, temp))
        # Ray installs its own SIGTERM handler, which would end the process without unwinding.
        catch_sigterm()
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def machine_for_tasks(asked: Asked) -> Iterator[Machine]:
    """Give the machine that tasks run on: this one, or what the nodes of the cluster have.

    Raises:
        ValueError: it lacks the device asked for.
    """
    if not in_cluster():
        yield choose_machine(asked.device, asked.dtype)
        return
    with ray_runtime(asked):
        yield machine_of_nodes(asked)


def _short_temp_root() -> str | None:
    """Return a folder for Ray's sockets; None leaves the choice to tempfile."""
    root = Path(tempfile.gettempdir())
    return "/tmp" if len(str(root)) > _MAX_TEMP_PATH_CHARS else None


def _check_answers(address: str) -> None:
    """Refuse an address at which nobody answers: Ray itself would try for a quarter of an hour.

    Raises:
        ValueError: nobody does, for as long as a head takes to start.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        return  # Names such as `auto`, which Ray resolves.
    until_s = time.monotonic() + _HEAD_STARTS_S
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _HEAD_STARTS_S).close()
            return
        except OSError as error:
            if time.monotonic() > until_s:
                raise ValueError(
                    f"RAY_ADDRESS={address}: nobody answers there ({error}); expected host:port of "
                    "a running Ray head, or no RAY_ADDRESS for a Ray of this command's own"
                ) from error
            time.sleep(1.0)


def _init_options(asked: Asked | Machine, temp: str) -> dict[str, Any]:
    """Choose ray.init's arguments from RAY_ADDRESS, or from this machine."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if in_cluster():
        _check_answers(os.environ["RAY_ADDRESS"])
        return {"address": os.environ["RAY_ADDRESS"], **quiet}
    machine = asked if isinstance(asked, Machine) else choose_machine(asked.device, asked.dtype)
    return {
        "address": "local",
        "num_cpus": machine.num_cpus,
        "num_gpus": machine.num_gpus,
        "include_dashboard": False,
        "_temp_dir": temp,
        **quiet,
    }
