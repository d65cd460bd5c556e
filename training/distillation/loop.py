"""Distillation of a dataset into a fast student (DiffSketch 4.4, 5.1), with or without Ray.

B: pairs, H, W: pixels. Students work in float [-1, 1]; shards hold uint8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from pipeline.pixels import sketch_to_uint8, unit_from_signed
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.reading.union import PublishedUnion
from pipeline.seeds import stream_seed
from training.checkpoint import (
    CHECKPOINT,
    HISTORY,
    DivergenceError,
    check_identity,
    trim_history,
)
from training.distillation.metrics import (
    MetricsListener,
    StepTimes,
    append_metrics,
    ignore_metrics,
)
from training.distillation.process_group import Alone, Ranks
from training.distillation.saving import UNDISTURBED, Due, SaveSchedule, Wishes
from training.distillation.schedule import Schedule
from training.distillation.spec import DistillationSpec, Execution
from training.distillation.state import (
    State,
    load_checkpoint,
    save_checkpoint,
)
from training.distillation.step import (
    StepSettings,
    compiles,
    memory_format,
    to_batch,
    train_step,
)
from training.encoders.features import FeatureNetwork, load_features
from training.extraction.extractor_folder import CONFIG, read_config, write_extractor
from training.keeper import FolderKeeper, Keeper
from training.snapshots import STRIP, StripRow, snapshot_iterations, write_strip
from training.students.registry import find_student

SHOWN_PAIRS = 3  # pairs of the dataset in the strip, after the true one


@dataclass(frozen=True)
class Context:
    """What stays fixed through a training on one rank.

    Attributes:
        identity: tells the folder's training from any other.
        example: the one true pair as a batch, uint8 (1, H, W, 3) and (1, H, W).
        listener: gets this rank's figures of speed.
    """

    spec: DistillationSpec
    execution: Execution
    ranks: Ranks
    folder: Path
    identity: dict[str, Any]
    schedule: Schedule
    reader: Reader
    example: tuple[Pixels, Pixels]
    features: FeatureNetwork
    listener: MetricsListener = ignore_metrics

    @property
    def keeps_records(self) -> bool:
        """Whether this rank writes the folder."""
        return self.ranks.rank == 0

    @property
    def weight(self) -> float:
        """This rank's share of each batch."""
        return len(self.reader.slots) / self.reader.order.batch

    def pairs_of(self, iteration: int) -> int:
        """Return how many pairs an iteration is on, over all ranks."""
        return 1 if self.schedule.is_true_pair(iteration) else self.reader.order.batch


def distill(
    spec: DistillationSpec,
    folder: Path,
    execution: Execution,
    on_event: OnEvent,
    ranks: Ranks | None = None,
    keeper: Keeper | None = None,
    wishes: Wishes = UNDISTURBED,
) -> Path:
    """Train a student, or resume an interrupted training of the same spec.

    Leaves in the folder: the extractor (model.safetensors and, last, config.json), strip.png,
    history.jsonl (all loss terms of each iteration), metrics.jsonl (its speed). A complete folder
    is left as it is. A training that was asked to stop leaves a checkpoint instead.

    Args:
        folder: on this rank's disk; rank 0 writes it. All ranks must see it, or have a keeper.
        ranks: the processes that train together; this one alone by default.
        keeper: where checkpoints and the extractor outlive the process; by default the folder.
        wishes: of the world around, which rank 0 asks for now and then.

    Returns:
        The folder.

    Raises:
        OtherRunError: the folder holds another training.
        DivergenceError: the loss stops being finite.
        ManifestError, RefusedError, StorageError: the dataset cannot be used.
        ValueError: settings that do not fit the dataset or the workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ranks, keeper = ranks or Alone(), keeper or FolderKeeper()
    context = prepare(spec, folder, execution, ranks)
    if (folder / CONFIG).is_file():
        stored = read_config(folder)["identity"]
        check_identity(folder / CONFIG, stored, context.identity)
        return folder
    devices = [execution.device] if execution.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        state = initial_state(context)
        # What one rank finds another may not find any more, or not yet.
        latest = ranks.share(keeper.latest() if context.keeps_records else "")
        if latest:
            keeper.restore(latest, folder)
        if load_checkpoint(folder, state, context.identity):
            on_event("distill.resumed", iteration=state.iteration)
        if context.keeps_records:
            trim_history(folder, state.iteration)
        train(context, state, on_event, keeper, wishes)
    if context.keeps_records and state.iteration == context.schedule.iterations:
        write_extractor(folder, state.student, spec.distill.student, metadata_of(context))
        (folder / CHECKPOINT).unlink(missing_ok=True)
        keeper.finish(folder)
    return folder


def prepare(spec: DistillationSpec, folder: Path, execution: Execution, ranks: Ranks) -> Context:
    """Open the dataset and compute what every iteration needs; the cheap checks come first."""
    find_student(spec.distill.student)
    dataset = PublishedUnion.open(
        spec.datasets,
        execution.cache.shards,
        spec.distill.where,
        execution.cache.limit_bytes,
    )
    order = Order(dataset.sizes, spec.distill.batch, spec.distill.seed)
    reader = Reader(dataset, order, spec.flip, execution.threads, ranks.rank, ranks.count)
    schedule = Schedule(
        order.steps * spec.distill.epochs,
        spec.distill.true_pair_every,
        spec.distill.learning_rate,
        spec.constant_share,
    )
    _check_sizes(dataset, spec.image)
    features = load_features(spec.features, execution.device)
    identity = spec.identity(dataset.sha256s, features)
    return Context(
        spec=spec,
        execution=execution,
        ranks=ranks,
        folder=folder,
        identity=identity,
        schedule=schedule,
        reader=reader,
        example=(spec.image[None], spec.drawing[None]),
        features=features,
    )


def initial_state(context: Context) -> State:
    """Make an untrained student, a pure function of the seed and so the same on every rank."""
    torch.manual_seed(stream_seed(context.spec.distill.seed, 0, "distill.student"))
    student = find_student(context.spec.distill.student).create(
        context.spec.distill.preset, context.features
    )
    for phase in student.phases():
        # The stubs know one argument at a time only.
        phase.module.to(context.execution.device)
        phase.module.to(memory_format=memory_format(context.execution.device))
    return State.of(student)


def train(
    context: Context,
    state: State,
    on_event: OnEvent,
    keeper: Keeper,
    wishes: Wishes,
) -> None:
    """Train from the current iteration to the end of the schedule, or until asked to stop."""
    total = context.schedule.iterations
    settings = StepSettings(
        context.spec.distill.seed, context.weight, context.ranks, context.execution
    )
    pending: list[dict[str, Tensor]] = []
    every_s = context.execution.checkpoint_every_s
    saving = SaveSchedule(context.ranks, every_s, wishes)
    snapshot(context, state)
    if compiles(context.execution):
        state.student.compile()
    times = StepTimes(total)
    for images, sketches in batches(context, state.iteration, times):
        batch = to_batch(images, sketches, context.execution.device)
        rate = context.schedule.rate(state.iteration)
        times.step_done(context.pairs_of(state.iteration))
        pending.append(train_step(state, batch, rate, settings))
        at_record = len(pending) == context.execution.record_every or state.iteration == total
        if at_record:
            log_losses(context, state, pending, times, on_event)
            pending = []
        snapshot(context, state)
        if not at_record or state.iteration == total:
            continue
        due = saving.due()
        if due is not Due.NOTHING and context.keeps_records:
            save_checkpoint(context.folder, state, context.identity)
            # A machine that leaves takes an upload under way with it.
            keeper.keep(context.folder, state.iteration, wait=due is not Due.CHECKPOINT)
        if due is Due.STOP:
            on_event("distill.stopped", kept=state.iteration, of=total, what="iterations")
            return


def batches(context: Context, start: int, times: StepTimes) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield what each iteration from `start` on trains on: a batch or, at times, the example."""
    schedule = context.schedule
    from_dataset = context.reader.batches(schedule.batches_before(start), schedule.num_batches)
    for iteration in range(start, schedule.iterations):
        if schedule.is_true_pair(iteration):
            yield context.example
            continue
        with times.waiting():
            batch = next(from_dataset)
        yield batch


def log_losses(
    context: Context,
    state: State,
    pending: list[dict[str, Tensor]],
    times: StepTimes,
    on_event: OnEvent,
) -> None:
    """Write the losses of the last iterations to the history, as means over ranks.

    How long they took goes to the metrics: the history is the same whenever it is written.

    Raises:
        DivergenceError: one of them is not finite.
    """
    names = list(pending[0])
    stacked = torch.stack(
        [torch.stack([terms[name].float() for name in names]) for terms in pending]
    )  # (iterations, terms)
    rows = context.ranks.average(stacked, context.weight).tolist()
    if not all(math.isfinite(value) for row in rows for value in row):
        raise DivergenceError(
            f"by iteration {state.iteration} losses are no longer finite. Lower "
            f"distill.learning_rate; {CHECKPOINT} holds the last sound state"
        )
    metrics = times.collect(state.iteration)
    context.listener(metrics)
    if not context.keeps_records:
        return
    append_metrics(context.folder, metrics)
    first = state.iteration - len(rows)
    with (context.folder / HISTORY).open("a", encoding="utf-8") as history:
        for iteration, row in enumerate(rows, start=first):
            line = {
                "iteration": iteration,
                "true_pair": context.schedule.is_true_pair(iteration),
                **dict(zip(names, row, strict=True)),
            }
            history.write(json.dumps(line) + "\n")
    on_event(
        "distill.iteration",
        done=state.iteration,
        total=context.schedule.iterations,
        samples_per_s=metrics.samples_per_s,
        waiting_share=metrics.waiting_share,
        step_s=metrics.step_s,
        left_s=metrics.left_s,
        **dict(zip(names, rows[-1], strict=True)),
    )


def snapshot(context: Context, state: State) -> None:
    """Keep the sketches of this iteration for the strip, where it has a column for them."""
    done = state.iteration
    wanted = done in snapshot_iterations(context.schedule.iterations)
    if not context.keeps_records or not wanted or done in state.snapshots:
        return
    pairs = [(context.spec.image, context.spec.drawing), *shown_pairs(context.reader.dataset)]
    sketches = []
    for image, drawing in pairs:
        batch = to_batch(image[None], drawing[None], context.execution.device)
        drawn = unit_from_signed(state.student.draw(batch.images))
        sketches.append(sketch_to_uint8(drawn)[0])
    state.snapshots[done] = torch.from_numpy(np.stack(sketches))  # (rows, H, W)
    labels = ["the one\nexample", *(f"pair {number + 1}" for number in range(len(pairs) - 1))]
    rows = [
        StripRow(
            label,
            image,
            drawing,
            {i: pages[number].numpy() for i, pages in state.snapshots.items()},
        )
        for number, (label, (image, drawing)) in enumerate(zip(labels, pairs, strict=True))
    ]
    write_strip(context.folder / STRIP, rows)


def shown_pairs(dataset: PublishedDataset | PublishedUnion) -> list[tuple[Pixels, Pixels]]:
    """Read a few pairs, spread over the first shard with any: no other has to be fetched."""
    shard, size = next((shard, size) for shard, size in enumerate(dataset.sizes) if size)
    positions = sorted({number * size // SHOWN_PAIRS for number in range(SHOWN_PAIRS)})
    return [dataset.pair(shard, position) for position in positions]


def _check_sizes(union: PublishedUnion, example: Pixels) -> None:
    for dataset in union.datasets:
        image, _ = shown_pairs(dataset)[0]
        if image.shape != example.shape:
            raise ValueError(
                f"the images of {dataset.store.url} are {image.shape[1]} x {image.shape[0]} "
                f"pixels, and the example is {example.shape[1]} x {example.shape[0]}: expected the "
                "example that the dataset was made from"
            )


def metadata_of(context: Context) -> dict[str, Any]:
    """Return what an extractor's config says about its origin."""
    height, width = context.spec.drawing.shape
    return {
        "identity": context.identity,
        "trained": {
            "iterations": context.schedule.iterations,
            "height_px": height,
            "width_px": width,
            "pairs": sum(context.reader.order.sizes),
            "workers": context.ranks.count,
            "features": context.features.label,
        },
        "provenance": dict(context.spec.provenance),
    }
