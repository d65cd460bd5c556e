"""Distillation on Ray Train.

Ray starts the ranks, places them and restarts them when one is lost. All that they need to resume
lies where the training's keeper puts it: in a folder that every node sees, or in a run's store,
which needs no shared folder. Ray's own checkpoints are not used, so that a killed driver, a lost
worker and the plain loop all resume from the same file.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.metrics import Counter, Gauge

from pipeline.events import OnEvent, ignore
from pipeline.generation.ray_actors import naming_this_node
from pipeline.recipe.workers import WorkerRange
from pipeline.storage.address import open_store
from training.distillation.loop import distill, prepare
from training.distillation.process_group import Alone, ProcessGroup
from training.distillation.saving import Wishes
from training.distillation.spec import DistillationSpec, Execution
from training.encoders.location import absolute_location
from training.keeper import StoreKeeper
from training.ray_events import EventSender, failing_once, is_mistake, is_stopping, relayed

# Ray's default of 0 would end a night's work with its first lost worker; a fault that recurs
# at the same iteration should still end it soon. Nodes that give notice are not counted.
MAX_FAILURES = 3
# How often an elastic training looks for nodes that have come.
RESIZE_EVERY_S = 60.0
# How long the ranks may take to save when they are asked to stop.
STOPPING_S = 60.0


class ClusterError(RuntimeError):
    """Ranks failed more often than MAX_FAILURES, and not because of a user error."""


def distill_on_ray(
    spec: DistillationSpec,
    folder: Path,
    execution: Execution,
    on_event: OnEvent,
    cpus_per_worker: float = 1.0,
    keeper: StoreKeeper | None = None,
) -> None:
    """Train as `training.distillation.loop.distill` does, on `spec.distill.workers` ranks.

    Ray must be initialised. With one worker the weights are those of the plain loop.

    Args:
        spec: what fixes the outcome.
        folder: of the training, seen by every node; with a keeper it is not used.
        execution: how to carry it out; ranks use one GPU each when its device is cuda.
        on_event: listens to the events of rank 0, and to one `distill.rank` of each.
        cpus_per_worker: what Ray reserves for each rank.
        keeper: where checkpoints and the extractor go, for nodes that share no folder.

    Raises:
        ValueError: what `distill` raises.
        OSError: a rank's disk is full.
        ClusterError: ranks keep failing for another reason.
    """
    spec, execution = portable(spec, execution)
    on_gpu = execution.device.startswith("cuda")
    share = {"CPU": cpus_per_worker} | ({"GPU": 1.0} if on_gpu else {})
    workers = fitting_workers(
        spec.distill.worker_range,
        _capacity_for(share, ray.cluster_resources()),
        len(ray.nodes()),
    )
    on_event("distill.workers", asked=str(spec.distill.workers), used=str(workers))
    with tempfile.TemporaryDirectory(prefix="distill-") as scratch, relayed(on_event) as relay:
        # User errors are found here, before any rank starts.
        most = workers.most or workers.least
        _check(spec, Path(scratch), execution, most)
        task = _Task(spec, None if keeper else folder.absolute(), execution, relay, keeper)
        trainer = _trainer(task, _scaling(workers, on_gpu, share), scratch)
        _fit_until_stopped(trainer, relay, on_event)


def _check(spec: DistillationSpec, scratch: Path, execution: Execution, workers: int) -> None:
    """Raise the errors that ranks would meet; no model is put on a device."""
    local = replace(spec, features=execution.cache.local_path(spec.features))
    prepare(local, scratch, replace(execution, device="cpu"), Alone(count=workers))


def fitting_workers(asked: WorkerRange, capacity: int, nodes: int) -> WorkerRange:
    """Choose the number of ranks: as asked, or what a single machine has capacity for.

    Ranks share each batch, so that fewer do the same training, up to rounding, in more time. On
    several nodes as many start as were asked for: the cluster may be about to grow.

    Args:
        asked: in the recipe.
        capacity: how many ranks fit now.
        nodes: of Ray's cluster.
    """
    most = asked.most or asked.least
    if nodes > 1 or capacity >= most or capacity < 1:
        return asked
    return WorkerRange(min(asked.least, capacity), capacity)


def portable(spec: DistillationSpec, execution: Execution) -> tuple[DistillationSpec, Execution]:
    """Make every location absolute: ranks may have other working directories."""
    features = absolute_location(spec.features)
    datasets = tuple(open_store(dataset).url for dataset in spec.datasets)
    folder = execution.cache.folder
    cache = replace(execution.cache, folder=None if folder is None else folder.absolute())
    return (
        replace(spec, datasets=datasets, features=features),
        replace(execution, cache=cache),
    )


@dataclass(frozen=True)
class _Task:
    """What a rank is sent; without a keeper all ranks see the folder."""

    spec: DistillationSpec
    folder: Path | None
    execution: Execution
    relay: Any
    keeper: StoreKeeper | None


def _scaling(workers: WorkerRange, on_gpu: bool, share: dict[str, float]) -> ScalingConfig:
    most = workers.most or workers.least
    fixed = workers.least == most
    return ScalingConfig(
        num_workers=most if fixed else (workers.least, most),
        use_gpu=on_gpu,
        resources_per_worker=share,
        elastic_resize_monitor_interval_s=RESIZE_EVERY_S,
    )


def _trainer(task: _Task, scaling: ScalingConfig, scratch: str) -> TorchTrainer:
    return TorchTrainer(
        _train_rank,
        train_loop_config={"task": task},
        torch_config=TorchConfig(backend="nccl" if scaling.use_gpu else "gloo"),
        scaling_config=scaling,
        run_config=RunConfig(
            # A name used before would make Ray load that run's state instead of ours.
            name=f"distill-{secrets.token_hex(8)}",
            # On the driver's machine only: nothing that a rank needs lies there.
            storage_path=scratch,
            # Preemptions are not faults and stay unlimited, Ray's default for them.
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )


def _capacity_for(share: Mapping[str, float], resources: Mapping[str, float]) -> int:
    return int(min(resources.get(name, 0.0) / amount for name, amount in share.items()))


def _fit_until_stopped(trainer: TorchTrainer, relay: Any, on_event: OnEvent) -> None:
    """Fit in a thread: Ctrl-C and SIGTERM ask the ranks to save and stop, a second one waits not.

    In the main thread Ray would take the signal itself, and end the process without a word.
    """
    pool = ThreadPoolExecutor(1)
    fitting = pool.submit(_fit, trainer)
    pool.shutdown(wait=False)
    try:
        fitting.result()
    except KeyboardInterrupt:
        relay.stop.remote()
        on_event("distill.stopping", patience_s=STOPPING_S)
        # Whatever becomes of the ranks, it was the person who stopped them.
        wait([fitting], STOPPING_S)
        raise


def _fit(trainer: TorchTrainer) -> None:
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        for failure in getattr(error, "worker_failures", {}).values():
            cause = getattr(failure, "_base_exc", failure)  # below Ray's wrapper
            if is_mistake(cause):
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
    sender = EventSender(task.relay)
    with naming_this_node(), failing_once(task.relay):
        sender("distill.rank", rank=ranks.rank, ranks=ranks.count, pid=os.getpid())
        # The others' events are the same.
        on_event = _with_metrics(sender) if ranks.rank == 0 else ignore
        _distill_as_rank(task, execution, on_event, ranks)
    sender.flush()


def _distill_as_rank(
    task: _Task, execution: Execution, on_event: OnEvent, ranks: ProcessGroup
) -> None:
    cache = execution.cache
    spec = replace(task.spec, features=cache.local_path(task.spec.features))
    wishes = Wishes(stop=partial(is_stopping, task.relay), leave=_is_leaving)
    if task.keeper is None:
        assert task.folder is not None, "without a keeper there is a shared folder"
        distill(spec, task.folder, execution, on_event, ranks, wishes=wishes)
    else:
        keeper = replace(task.keeper, cache=cache, on_event=on_event)
        with cache.work_folder() as own:
            distill(spec, own, execution, on_event, ranks, keeper, wishes)


def _is_leaving() -> bool:
    """Tell whether the cluster is about to take away a rank's node."""
    return ray.train.get_preemption_info() is not None


def _with_metrics(on_event: OnEvent) -> OnEvent:
    """Keep Ray's metrics of a training's progress, which Prometheus collects."""
    iterations = Counter("onesketch_distill_iterations", "Iterations done by this process.")
    speeds = {
        name: Gauge(f"onesketch_distill_{name}", text)
        for name, text in {
            "samples_per_s": "Pairs trained on per second, over all ranks.",
            "waiting_share": "Share of the time that rank 0 waited for its batches.",
        }.items()
    }
    losses = Gauge("onesketch_distill_loss", "Loss terms of the latest iteration.", ("term",))
    done_before: int | None = None

    def listen(name: str, **fields: Any) -> None:
        nonlocal done_before
        if name == "distill.iteration":
            if done_before is not None and fields["done"] > done_before:
                iterations.inc(fields["done"] - done_before)
            done_before = fields["done"]
            for field, value in fields.items():
                if field in speeds:
                    speeds[field].set(value)
                elif "." in field:
                    losses.set(value, {"term": field})
        on_event(name, **fields)

    return listen
