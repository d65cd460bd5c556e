"""Distillation on Ray Train: the only file of training that knows Ray.

Ray starts the ranks, places them and restarts them when one is lost. All that they need to resume
lies in the folder of the training, which every node must see (a local machine's disk, or a shared
file system); Ray's own checkpoints are not used, so that a killed driver, a lost worker and the
plain loop all resume from the same file.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from pipeline.events import OnEvent, ignore
from pipeline.storage.address import open_store
from training.distillation.loop import distill, prepare
from training.distillation.process_group import Alone, ProcessGroup
from training.distillation.spec import DistillationSpec, Execution
from training.encoders.location import absolute_location

# Ray's default of 0 would end a night's work with its first lost worker; a fault that recurs
# at the same iteration should still end it soon.
MAX_FAILURES = 3
POLL_S = 0.2
EVENTS = "ranks.jsonl"


class ClusterError(RuntimeError):
    """Ranks failed more often than MAX_FAILURES, and not because of a user error."""


def distill_on_ray(
    spec: DistillationSpec,
    folder: Path,
    execution: Execution,
    on_event: OnEvent,
    cpus_per_worker: float = 1.0,
) -> Path:
    """Train as `training.distillation.loop.distill` does, on `spec.distill.workers` ranks.

    Ray must be initialised. With one worker the weights are those of the plain loop.

    Args:
        spec: what fixes the outcome.
        folder: of the training, seen by every node.
        execution: how to carry it out; ranks use one GPU each when its device is cuda.
        on_event: listens to the events of rank 0, and to one `distill.rank` of each.
        cpus_per_worker: what Ray reserves for each rank.

    Returns:
        The folder.

    Raises:
        ValueError: what `distill` raises.
        ClusterError: ranks keep failing for another reason.
    """
    folder = folder.absolute()
    spec, execution = portable(spec, execution)
    on_gpu = execution.device.startswith("cuda")
    share = {"CPU": cpus_per_worker} | ({"GPU": 1.0} if on_gpu else {})
    workers = fitting_workers(
        spec.distill.workers,
        spec.distill.batch,
        _capacity_for(share, ray.cluster_resources()),
        len(ray.nodes()),
    )
    on_event("distill.workers", asked=spec.distill.workers, used=workers)
    # User errors are found here, before any rank starts.
    prepare(spec, folder, replace(execution, device="cpu"), Alone(count=workers))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ray-", dir=folder) as scratch:
        events = Path(scratch) / EVENTS
        scaling = ScalingConfig(num_workers=workers, use_gpu=on_gpu, resources_per_worker=share)
        trainer = _trainer(_Task(spec, folder, execution, events), scaling, scratch)
        with _forwarded(events, on_event):
            _fit(trainer)
    return folder


def fitting_workers(asked: int, batch: int, capacity: int, nodes: int) -> int:
    """Choose the number of ranks: as asked, or what a single machine has capacity for.

    Ranks share each batch, so that fewer do the same training, up to rounding, in more time. On
    several nodes as many start as were asked for: the cluster may be about to grow.

    Args:
        asked: the number in the recipe.
        batch: pairs of a batch.
        capacity: how many ranks fit now.
        nodes: of Ray's cluster.

    Returns:
        The number asked for, or a smaller divisor of the batch.
    """
    if nodes > 1 or capacity >= asked or capacity < 1:
        return asked
    return max(workers for workers in range(1, capacity + 1) if batch % workers == 0)


def portable(spec: DistillationSpec, execution: Execution) -> tuple[DistillationSpec, Execution]:
    """Make every location absolute: ranks may have other working directories."""
    features = absolute_location(spec.features)
    cache = None if execution.cache is None else execution.cache.absolute()
    return (
        replace(spec, dataset=open_store(spec.dataset).url, features=features),
        replace(execution, cache=cache),
    )


@dataclass(frozen=True)
class _Task:
    """What a rank is sent."""

    spec: DistillationSpec
    folder: Path
    execution: Execution
    events: Path


def _trainer(task: _Task, scaling: ScalingConfig, scratch: str) -> TorchTrainer:
    return TorchTrainer(
        _train_rank,
        train_loop_config={"task": task},
        torch_config=TorchConfig(backend="nccl" if scaling.use_gpu else "gloo"),
        scaling_config=scaling,
        run_config=RunConfig(
            # A name used before would make Ray load that run's state instead of ours.
            name=f"distill-{secrets.token_hex(8)}",
            storage_path=scratch,
            # Preemptions are not faults and stay unlimited, Ray's default for them.
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )


def _capacity_for(share: Mapping[str, float], resources: Mapping[str, float]) -> int:
    return int(min(resources.get(name, 0.0) / amount for name, amount in share.items()))


def _fit(trainer: TorchTrainer) -> None:
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        for failure in getattr(error, "worker_failures", {}).values():
            cause = getattr(failure, "_base_exc", failure)  # below Ray's wrapper
            if isinstance(cause, ValueError):
                raise cause from error
        raise ClusterError(
            f"distillation gave up after {MAX_FAILURES} restarts: {error}. Start "
            "the same command again to resume from the last checkpoint"
        ) from error


def _train_rank(config: dict[str, Any]) -> None:
    task: _Task = config["task"]
    context = ray.train.get_context()
    ranks = ProcessGroup(context.get_world_rank(), context.get_world_size())
    execution = task.execution
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        execution = replace(execution, device=str(device))
    else:
        # Ray sets the variable to the rank's share of the machine, torch may have read another.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    write = _writer(task.events)
    write("distill.rank", rank=ranks.rank, ranks=ranks.count, pid=os.getpid())
    # The others' events are the same.
    distill(task.spec, task.folder, execution, write if ranks.rank == 0 else ignore, ranks)


def _writer(path: Path) -> OnEvent:
    def on_event(name: str, **fields: Any) -> None:
        # One write to a file opened for appending: lines of several ranks do not mix.
        with path.open("ab", buffering=0) as file:
            file.write((json.dumps({"name": name, "fields": fields}) + "\n").encode())

    return on_event


@contextmanager
def _forwarded(path: Path, on_event: OnEvent) -> Iterator[None]:
    """Pass the events that ranks write on to the driver's `on_event` while the context lasts."""
    ended = threading.Event()

    def follow() -> None:
        offset = 0
        while True:
            last = ended.wait(POLL_S)
            offset = _forward(path, offset, on_event)
            if last:
                return

    thread = threading.Thread(target=follow, name="distill-events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _forward(path: Path, offset: int, on_event: OnEvent) -> int:
    """Forward the whole lines after an offset: -> the offset after them."""
    if not path.is_file():
        return offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines():
        event = json.loads(line)
        on_event(event["name"], **event["fields"])
    return offset + len(whole)
