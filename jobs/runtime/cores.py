"""How many cores this process really has; read before torch is loaded, which takes them all."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/cpu.max")
# Threads of a busy machine wait for each other in vain: asleep they leave the core to others. So
# many rounds are no loss on an idle one (docs/results.md, "A busy machine").
_SPIN_ROUNDS = "20000"


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Count the cores that this process may use, by its affinity and its cgroup's quota."""
    # Only Linux says so; elsewhere a process may use all.
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota(cgroup) or cores))


def calm_threads(environment: MutableMapping[str, str]) -> None:
    """Have torch's threads neither outnumber the cores nor spin while others need them."""
    if not _is_chosen(environment):
        environment["GOMP_SPINCOUNT"] = _SPIN_ROUNDS
    quota = _quota(_CGROUP)
    if quota is not None:
        environment.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def _is_chosen(environment: Mapping[str, str]) -> bool:
    return any(name in environment for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"))


def _quota(cgroup: Path) -> int | None:
    """Return a container's limit in whole cores, rounded up; None where there is none."""
    try:
        quota, period = cgroup.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None
