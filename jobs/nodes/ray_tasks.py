"""Independent tasks on Ray's workers, yielded in the order in which they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Machine

Item = TypeVar("Item")
Result = TypeVar("Result")

# A task is tried again when its worker or node is lost, not when it raises an error itself.
_MAX_RETRIES = 2


def run_tasks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    machine: Machine,
    workers: int = 0,
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with function(item), as they finish.

    A worker process is used for many items, so that a function may keep what is costly to load
    (functools.lru_cache).

    Args:
        function: pickled, as the items are.
        workers: how many are at work at once; 0: by the machine.

    Raises:
        ray.exceptions.RayTaskError: a task failed; its cause is inside, and the rest is given up.
    """
    if not items:
        return
    with ray_runtime(machine):
        at_once = _choose_workers(workers, machine)
        remote: Any = ray.remote(function).options(
            num_cpus=1,
            num_gpus=1 if machine.num_gpus else 0,
            max_retries=_MAX_RETRIES,
        )
        waiting = list(items)
        running: dict[Any, Item] = {}
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    item = waiting.pop(0)
                    running[remote.remote(item)] = item
                done, _ = ray.wait(list(running), num_returns=1)
                for ref in done:
                    yield running.pop(ref), ray.get(ref)
        finally:
            # What is done stays as it is: Ray may crash where a finished task is cancelled.
            for ref in ray.wait(list(running), num_returns=len(running), timeout=0)[1]:
                ray.cancel(ref, force=True)


def _choose_workers(asked: int, machine: Machine) -> int:
    """Choose the number of workers: as asked, else one a GPU, else one a core."""
    return asked or machine.num_gpus or machine.num_cpus
