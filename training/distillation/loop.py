"""Distillation of a published dataset into a fast student (paper 4.4, 5.1), with or without Ray.

B: pairs, H, W: pixels. Students work in float [-1, 1]; shards hold uint8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.pixels import sketch_to_uint8
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.seeds import stream_seed
from training.distillation.extractor import CONFIG, read_config, write_extractor
from training.distillation.process_group import Alone, Ranks
from training.distillation.schedule import Timetable
from training.distillation.spec import Course, Execution
from training.distillation.state import (
    CHECKPOINT,
    Training,
    begin,
    load_checkpoint,
    save_checkpoint,
)
from training.encoders.features import FeatureNetwork, load_features
from training.oneshot.state import HISTORY, check_identity, keep_history
from training.snapshots import Row, draw_strip, snapshot_iterations
from training.students.registry import find_student
from training.students.student import Batch

OnEvent = Callable[..., None]
Pixels = NDArray[np.uint8]

STRIP = "strip.png"
CACHE = "shards"
RECORD_EVERY = 10  # iterations: reading losses back makes a GPU wait
GALLERY = 3  # pairs of the dataset in the strip, beside the true one


class DivergenceError(ValueError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Schoolroom:
    """What stays fixed through a training on one rank."""

    course: Course
    execution: Execution
    ranks: Ranks
    folder: Path
    identity: dict[str, Any]
    timetable: Timetable
    reader: Reader
    true_pair: tuple[Pixels, Pixels]  # (1, H, W, 3), (1, H, W)
    features: FeatureNetwork

    @property
    def keeps_records(self) -> bool:
        """Whether this rank writes the folder."""
        return self.ranks.rank == 0


def distill(
    course: Course,
    folder: Path,
    execution: Execution,
    on_event: OnEvent,
    ranks: Ranks | None = None,
) -> Path:
    """Train a student, or go on where an interrupted run of the same course stopped.

    Leaves in the folder: the extractor (model.safetensors and, last, config.json), strip.png,
    history.jsonl (all loss terms of each iteration). A complete folder is left as it is. All
    ranks must see the folder; rank 0 writes it. Returns the folder.

    Raises:
        OtherLessonError: the folder is of another course.
        DivergenceError: the loss stops being finite.
        ManifestError, RefusedError, StorageError: the dataset cannot be used.
        ValueError: settings that do not fit the dataset or the workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    room = prepare(course, folder, execution, ranks or Alone())
    if (folder / CONFIG).is_file():
        known = read_config(folder)["identity"]
        check_identity(folder / CONFIG, known, room.identity)
        return folder
    devices = [execution.device] if execution.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        training = enrol(room)
        if load_checkpoint(folder, training, room.identity):
            on_event("distill.resumed", iteration=training.iteration)
        if room.keeps_records:
            keep_history(folder, training.iteration)
        train(room, training, on_event)
    if room.keeps_records:
        write_extractor(folder, training.student, course.distill.student, facts_of(room))
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return folder


def prepare(course: Course, folder: Path, execution: Execution, ranks: Ranks) -> Schoolroom:
    """Open the dataset and work out what every iteration needs; the cheap checks come first."""
    find_student(course.distill.student)
    dataset = PublishedDataset.open(
        course.dataset,
        execution.cache or folder / CACHE,
        course.distill.where,
        execution.cache_bytes,
    )
    order = Order(dataset.sizes, course.distill.batch, course.distill.seed)
    reader = Reader(dataset, order, course.flip, execution.threads, ranks.rank, ranks.count)
    timetable = Timetable(
        order.steps * course.distill.epochs,
        course.distill.true_pair_every,
        course.distill.learning_rate,
        course.constant_share,
    )
    features = load_features(course.features, execution.device)
    identity = course.identity(dataset.sha256, features)
    return Schoolroom(
        course,
        execution,
        ranks,
        folder,
        identity,
        timetable,
        reader,
        (course.image[None], course.drawing[None]),
        features,
    )


def enrol(room: Schoolroom) -> Training:
    """Make an untrained student, a pure function of the seed and so the same on every rank."""
    torch.manual_seed(stream_seed(room.course.distill.seed, 0, "distill.student"))
    student = find_student(room.course.distill.student).create(
        room.course.distill.preset, room.features
    )
    for phase in student.phases():
        # The stubs know one argument at a time only.
        phase.module.to(room.execution.device)
        phase.module.to(memory_format=memory_format(room.execution.device))
    return begin(student)


def train(room: Schoolroom, training: Training, on_event: OnEvent) -> None:
    """Go through the timetable from where the training stands."""
    total = room.timetable.iterations
    pending: list[dict[str, Tensor]] = []
    saved = training.iteration
    watch(room, training)
    for images, sketches in lessons(room, training.iteration):
        batch = to_batch(images, sketches, room.execution.device)
        pending.append(train_step(room, training, batch))
        at_end = training.iteration == total
        checkpoint_due = training.iteration - saved >= room.execution.checkpoint_every
        if len(pending) == RECORD_EVERY or checkpoint_due or at_end:
            record(room, training, pending, on_event)
            pending = []
        watch(room, training)
        if checkpoint_due and room.keeps_records:
            save_checkpoint(room.folder, training, room.identity)
        if checkpoint_due:
            saved = training.iteration


def lessons(room: Schoolroom, start: int) -> Iterator[tuple[Pixels, Pixels]]:
    """What each iteration from `start` on is taken on: a batch, or every so often the true pair."""
    timetable = room.timetable
    batches = room.reader.batches(timetable.batches_before(start), timetable.num_batches)
    for iteration in range(start, timetable.iterations):
        yield room.true_pair if timetable.is_true_pair(iteration) else next(batches)


def train_step(room: Schoolroom, training: Training, batch: Batch) -> dict[str, Tensor]:
    """One iteration: each phase in turn, all else frozen. Gives the loss terms, detached."""
    phases = training.student.phases()
    execution, seed = room.execution, room.course.distill.seed
    torch.manual_seed(stream_seed(seed, training.iteration, f"distill.step.{room.ranks.rank}"))
    terms: dict[str, Tensor] = {}
    for phase in phases:
        for other in phases:
            # No weight gradients are worked out for the others, nor sent to the other ranks.
            other.module.requires_grad_(other is phase)
        optimiser = training.optimisers[phase.name]
        optimiser.param_groups[0]["lr"] = room.timetable.rate(training.iteration)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(
            torch.device(execution.device).type,
            execution.dtype,
            enabled=execution.dtype != torch.float32,
        ):
            losses = training.student.losses(phase.name, batch)
        torch.stack(list(losses.values())).sum().backward()
        room.ranks.average_gradients(phase.module.parameters())
        optimiser.step()
        terms |= {f"{phase.name}.{name}": loss.detach() for name, loss in losses.items()}
    training.iteration += 1
    return terms


def record(
    room: Schoolroom, training: Training, pending: list[dict[str, Tensor]], on_event: OnEvent
) -> None:
    """Write down the losses of the last iterations, means over ranks; DivergenceError on NaN."""
    names = list(pending[0])
    stacked = torch.stack(
        [torch.stack([terms[name].float() for name in names]) for terms in pending]
    )  # (iterations, terms)
    rows = room.ranks.average(stacked).tolist()
    if not all(math.isfinite(value) for row in rows for value in row):
        raise DivergenceError(
            f"by iteration {training.iteration} losses are no longer finite. Lower "
            f"distill.learning_rate; {CHECKPOINT} holds the last sound state"
        )
    if not room.keeps_records:
        return
    first = training.iteration - len(rows)
    with (room.folder / HISTORY).open("a", encoding="utf-8") as history:
        for iteration, row in enumerate(rows, start=first):
            line = {
                "iteration": iteration,
                "true_pair": room.timetable.is_true_pair(iteration),
                **dict(zip(names, row, strict=True)),
            }
            history.write(json.dumps(line) + "\n")
    on_event(
        "distill.iteration",
        done=training.iteration,
        total=room.timetable.iterations,
        **dict(zip(names, rows[-1], strict=True)),
    )


def watch(room: Schoolroom, training: Training) -> None:
    """Keep the sketches of this iteration for the strip, where it has a column for them."""
    done = training.iteration
    wanted = done in snapshot_iterations(room.timetable.iterations)
    if not room.keeps_records or not wanted or done in training.snapshots:
        return
    pairs = [(room.course.image, room.course.drawing), *gallery(room.reader.dataset)]
    sketches = []
    for image, drawing in pairs:
        batch = to_batch(image[None], drawing[None], room.execution.device)
        sketches.append(sketch_to_uint8((training.student.predict(batch.images) + 1) / 2)[0])
    training.snapshots[done] = torch.from_numpy(np.stack(sketches))  # (rows, H, W)
    labels = ["the one\nexample", *(f"pair {number + 1}" for number in range(len(pairs) - 1))]
    rows = [
        Row(
            label,
            image,
            drawing,
            {i: pages[number].numpy() for i, pages in training.snapshots.items()},
        )
        for number, (label, (image, drawing)) in enumerate(zip(labels, pairs, strict=True))
    ]
    draw_strip(rows).save(room.folder / STRIP)


def gallery(dataset: PublishedDataset) -> list[tuple[Pixels, Pixels]]:
    """A few pairs, spread over the first shard with any so that no other has to be fetched."""
    shard, size = next((shard, size) for shard, size in enumerate(dataset.sizes) if size)
    positions = sorted({number * size // GALLERY for number in range(GALLERY)})
    return [dataset.pair(shard, position) for position in positions]


def to_batch(images: Pixels, sketches: Pixels, device: str) -> Batch:
    """uint8 (B, H, W, 3) and (B, H, W) -> float (B, 3, H, W) and (B, 1, H, W) in [-1, 1]."""
    # Bytes travel to the device, floats are made there. Decoded arrays may be read-only.
    images, sketches = (np.require(a, requirements=["C", "W"]) for a in (images, sketches))
    pictures = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    drawings = torch.from_numpy(sketches).to(device)[:, None]
    layout = memory_format(device)
    return Batch(
        (pictures.float() / 127.5 - 1).contiguous(memory_format=layout),
        (drawings.float() / 127.5 - 1).contiguous(memory_format=layout),
    )


def memory_format(device: str) -> torch.memory_format:
    """The layout that convolutions are fastest in: on CPUs the plain one was, by a fifth."""
    on_gpu = device.startswith("cuda")
    return torch.channels_last if on_gpu else torch.contiguous_format


def facts_of(room: Schoolroom) -> dict[str, Any]:
    """What an extractor tells about its origin."""
    height, width = room.course.drawing.shape
    return {
        "identity": room.identity,
        "trained": {
            "iterations": room.timetable.iterations,
            "height_px": height,
            "width_px": width,
            "pairs": sum(room.reader.order.sizes),
            "workers": room.ranks.count,
            "features": room.features.label,
        },
        "provenance": dict(room.course.provenance),
    }
