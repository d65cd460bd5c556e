"""One-shot training of G_sketch: one drawing in, a teacher out (paper 4.2, 4.3, 5.1).

Adam, one new sample per iteration; the samples come in batches made ahead (`rehearsal`), the known
pair's taps and embeddings are worked out once. B: pictures, H, W: pixels.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.cdst import mixing
from pipeline.diffusion.sampling import Sample, sample
from pipeline.diffusion.taps import Taps, TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.pixels import image_to_uint8, sketch_from_uint8, sketch_to_uint8
from pipeline.seeds import stream_seed
from pipeline.teachers.diffsketch import PRIOR_FILE, Conditions
from training.oneshot.objective import TERMS, Objective
from training.oneshot.samples import Rehearsal, Samples
from training.oneshot.spec import Lesson
from training.oneshot.state import (
    CHECKPOINT,
    HISTORY,
    RECORD,
    Progress,
    check_identity,
    keep_history,
    load_checkpoint,
    save_checkpoint,
    write_text,
)
from training.snapshots import Row, draw_strip, snapshot_iterations

OnEvent = Callable[..., None]

STRIP = "strip.png"
CHECKPOINT_EVERY = 100  # iterations, rounded up to whole batches of samples
LARGEST_DRIFT = 4.0  # grey levels, mean over the picture, between the drawn and the remade one


class DivergenceError(ValueError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Classroom:
    """What stays fixed through a training: the known pair's taps, the losses, the strip's rows."""

    known: Sample
    objective: Objective
    rehearsal: Samples
    gallery: Sample  # a few fixed samples, on the CPU, to watch the sketches by


def fit(
    lesson: Lesson,
    folder: Path,
    on_event: OnEvent,
    checkpoint_every: int = CHECKPOINT_EVERY,
    samples: Samples | None = None,
) -> GSketch:
    """Train G_sketch, or go on where an interrupted run of the same lesson stopped.

    samples: where the lesson's samples are read that somebody else made; by default they are made
    here, batch by batch. They must be the same samples: the folder's identity is the lesson's.
    Leaves in the folder: the teacher (gsketch.safetensors, config.json, prior.safetensors,
    condition.safetensors), strip.png, history.jsonl (all loss terms of each iteration) and, last,
    teach.json. A folder that is complete is loaded. Raises OtherLessonError for a folder of
    another lesson, DivergenceError when the loss stops being finite, ValueError when the backbone
    no longer makes the picture that was drawn over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = lesson.identity()
    if (folder / RECORD).is_file():
        check_identity(
            folder / RECORD, json.loads((folder / RECORD).read_text())["identity"], identity
        )
        return GSketch.load(folder)
    classroom = prepare(lesson, samples)
    progress = begin(lesson)
    if load_checkpoint(folder, progress, identity):
        on_event("teach.resumed", iteration=progress.iteration)
    keep_history(folder, progress.iteration)
    saved = progress.iteration
    watch(classroom, progress, lesson, folder)
    while progress.iteration < lesson.teach.iterations:
        train_chunk(classroom, progress, lesson, folder, on_event)
        if progress.iteration - saved >= checkpoint_every:
            save_checkpoint(folder, progress, identity)
            saved = progress.iteration
    finish(progress, lesson, folder, identity)
    return GSketch.load(folder)


def prepare(lesson: Lesson, samples: Samples | None = None) -> Classroom:
    """Work out once what every iteration needs."""
    known = lesson.known or remake_known(lesson)
    drawing = sketch_from_uint8(lesson.pair.drawing).to(known.images.device)
    objective = Objective.of(known.images, drawing, lesson.teach, lesson.clip, lesson.perceptual)
    rehearsal = Rehearsal(
        lesson.backbone,
        lesson.prior,
        lesson.sampler,
        lesson.timesteps,
        lesson.pair.embeddings,
        lesson.teach.seed,
        lesson.teach.diffusion_duration,
        lesson.teach.cdst,
    )
    # Near the known condition, halfway, and far from it; of a seed that training never uses.
    others = replace(rehearsal, seed=stream_seed(lesson.teach.seed, 0, "strip"))
    duration = lesson.teach.diffusion_duration
    gallery = on_device(others.make([0, duration // 2, duration]), "cpu")
    return Classroom(known, objective, samples or rehearsal, gallery)


def begin(lesson: Lesson) -> Progress:
    """Make an untrained G_sketch, a pure function of the seed, with its optimiser."""
    shapes = TapShapes.of(lesson.backbone, lesson.sampler.halves)
    config = GSketchConfig(shapes, lesson.timesteps, lesson.teach.vae_features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(lesson.teach.seed, 0, "gsketch"))
        network = GSketch(config)
    network.to(lesson.backbone.device)
    return Progress(network, torch.optim.Adam(network.parameters(), lr=lesson.teach.learning_rate))


def train_chunk(
    classroom: Classroom, progress: Progress, lesson: Lesson, folder: Path, on_event: OnEvent
) -> None:
    """Make one batch of samples and train on each; its taps are freed on return."""
    iterations = lesson.teach.iterations
    indices = classroom.rehearsal.chunk_of(progress.iteration)
    start = time.perf_counter()
    chunk = classroom.rehearsal.make(indices)
    embeddings = classroom.objective.embed(chunk.images)
    sampling_s = time.perf_counter() - start
    with (folder / HISTORY).open("a", encoding="utf-8") as history:
        for i in range(progress.iteration, min(indices.stop, iterations)):
            at = i - indices.start
            losses = train_step(classroom, progress, chunk, at, embeddings[at : at + 1])
            alpha, beta = mixing(i, lesson.teach.diffusion_duration)
            line = {"iteration": i, **losses, "alpha": alpha, "beta": beta}
            history.write(json.dumps(line) + "\n")
            watch(classroom, progress, lesson, folder)
            on_event("teach.iteration", done=i + 1, total=iterations, **losses)
    on_event(
        "teach.batch",
        first=indices.start,
        samples=len(indices),
        sampling_s=sampling_s,
        training_s=time.perf_counter() - start - sampling_s,
    )


def train_step(
    classroom: Classroom, progress: Progress, chunk: Sample, at: int, embedding: Tensor
) -> dict[str, float]:
    """One iteration on sample `at` of a batch: losses by name, the weighted sum as "loss"."""
    taps, images = beside(classroom.known, chunk, at)
    drawn = progress.network(taps, images)  # (2, 1, H, W)
    terms = classroom.objective.terms(drawn, embedding)
    loss = classroom.objective.total(terms)
    values = torch.stack([loss, *(terms[name] for name in TERMS)]).tolist()  # one transfer
    losses = dict(zip(("loss", *TERMS), values, strict=True))
    if not all(map(math.isfinite, values)):
        raise DivergenceError(
            f"iteration {progress.iteration}: losses are no longer finite ({losses}). Lower "
            f"teach.learning_rate, or sample in float32; {CHECKPOINT} holds the last sound state"
        )
    progress.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    progress.optimiser.step()
    progress.iteration += 1
    return losses


def beside(known: Sample, chunk: Sample, at: int) -> tuple[Taps, Tensor]:
    """The known picture and sample `at` as one batch of 2: taps and images (2, 3, H, W).

    G_sketch normalises each picture by itself, so one pass over both equals a pass over each.
    """
    one = chunk.taps.images(at, at + 1)
    unet = {
        t: [torch.cat(pair) for pair in zip(features, one.unet[t], strict=True)]
        for t, features in known.taps.unet.items()
    }
    vae = [torch.cat(pair) for pair in zip(known.taps.vae, one.vae, strict=True)]
    return Taps(unet, vae), torch.cat([known.images, chunk.images[at : at + 1]])


def remake_known(lesson: Lesson) -> Sample:
    """Sample the known picture again, for its taps; ValueError if it comes out another."""
    pair = lesson.pair
    known = sample(
        lesson.backbone, pair.embeddings[None], pair.noise[None], lesson.sampler, lesson.timesteps
    )
    drift = float(abs(image_to_uint8(known.images)[0].astype(float) - pair.image).mean())
    if drift > LARGEST_DRIFT:
        raise ValueError(
            f"the backbone no longer makes the picture that was drawn over: expected a mean "
            f"difference of at most {LARGEST_DRIFT} grey levels, got {drift:.1f}. Use the "
            "backbone and sampler of source.json, or run `onesketch source` and draw again"
        )
    return known


@torch.no_grad()
def watch(classroom: Classroom, progress: Progress, lesson: Lesson, folder: Path) -> None:
    """Keep the sketches of this iteration for the strip, where it has a column for them."""
    done = progress.iteration
    if done not in snapshot_iterations(lesson.teach.iterations) or done in progress.snapshots:
        return
    sketches = [progress.network(classroom.known.taps, classroom.known.images)]
    device = classroom.known.images.device
    for at in range(len(classroom.gallery.images)):
        taps = classroom.gallery.taps.images(at, at + 1).to(device)
        images = classroom.gallery.images[at : at + 1].to(device)
        sketches.append(progress.network(taps, images))
    pages = sketch_to_uint8(torch.cat(sketches))
    progress.snapshots[done] = torch.from_numpy(pages)  # (rows, H, W)
    draw_strip(strip_rows(classroom, progress, lesson)).save(folder / STRIP)


def strip_rows(classroom: Classroom, progress: Progress, lesson: Lesson) -> list[Row]:
    """Rows of the strip: the known pair, then the gallery."""
    labels = ["sample 1", "sample 2", "sample 3"]
    if lesson.teach.cdst:
        labels = ["near the\nexample", "halfway", "far away"]
    pictures = [lesson.pair.image, *image_to_uint8(classroom.gallery.images)]
    rows = []
    for number, (label, picture) in enumerate(
        zip(["the one\nexample", *labels], pictures, strict=True)
    ):
        sketches = {i: pages[number].numpy() for i, pages in progress.snapshots.items()}
        drawing = lesson.pair.drawing if number == 0 else None
        rows.append(Row(label, picture, drawing, sketches))
    return rows


def finish(progress: Progress, lesson: Lesson, folder: Path, identity: dict[str, Any]) -> None:
    """Write the teacher; the record comes last, and only then the checkpoint goes."""
    progress.network.save(folder)
    lesson.prior.save(folder / PRIOR_FILE)
    Conditions(
        lesson.pair.embeddings, lesson.sampler, lesson.teach.cdst, lesson.backbone.fingerprint
    ).save(folder)
    encoders = {"clip": lesson.clip.label, "perceptual": lesson.perceptual.label}
    record = {"identity": identity, "encoders": encoders, "iterations": progress.iteration}
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    (folder / CHECKPOINT).unlink(missing_ok=True)


def on_device(made: Sample, device: str | torch.device) -> Sample:
    """Move a batch of samples with its taps."""
    return Sample(made.images.to(device), made.latents.to(device), made.taps.to(device))
