"""One-shot training of G_sketch: one drawing in, a teacher out (paper 4.2, 4.3, 5.1).

Adam, one new sample per iteration; the samples come in batches made ahead (`samples`), the example
pair's taps and embeddings are worked out once. B: pictures, H, W: pixels.
"""

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.cdst import mixing
from pipeline.diffusion.sampling import Sample, sample
from pipeline.diffusion.taps import Taps, TapShapes
from pipeline.events import OnEvent
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.pixels import image_to_uint8, sketch_from_uint8, sketch_to_uint8
from pipeline.seeds import stream_seed
from pipeline.teachers.diffsketch import PRIOR_FILE, Conditions
from pipeline.whole_file import write_json
from training.checkpoint import (
    CHECKPOINT,
    HISTORY,
    DivergenceError,
    check_identity,
    trim_history,
)
from training.oneshot.objective import TERMS, Objective
from training.oneshot.samples import GeneratedSamples, Samples
from training.oneshot.spec import OneShotSpec
from training.oneshot.state import State, load_checkpoint, save_checkpoint
from training.snapshots import StripRow, draw_strip, snapshot_iterations

STRIP = "strip.png"
RECORD = "teach.json"
CHECKPOINT_EVERY = 100  # iterations, rounded up to whole batches of samples
LARGEST_DRIFT = 4.0  # grey levels, mean over the picture, between the drawn and the remade one


@dataclass(frozen=True)
class Context:
    """What stays fixed through a training: the example's taps, the losses, the strip's rows."""

    example: Sample
    objective: Objective
    samples: Samples
    gallery: Sample  # a few fixed samples, on the CPU, to follow the sketches by


def fit(
    spec: OneShotSpec,
    folder: Path,
    on_event: OnEvent,
    checkpoint_every: int = CHECKPOINT_EVERY,
    samples: Samples | None = None,
) -> GSketch:
    """Train G_sketch, or go on where an interrupted run of the same spec stopped.

    samples: where the spec's samples are read that somebody else made; by default they are made
    here, batch by batch. They must be the same samples: the folder's identity is the spec's.
    Leaves in the folder: the teacher (gsketch.safetensors, config.json, prior.safetensors,
    condition.safetensors), strip.png, history.jsonl (all loss terms of each iteration) and, last,
    teach.json. A folder that is complete is loaded. Raises OtherRunError for a folder of
    another training, DivergenceError when the loss stops being finite, ValueError when the backbone
    no longer makes the picture that was drawn over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = spec.identity()
    if (folder / RECORD).is_file():
        check_identity(
            folder / RECORD, json.loads((folder / RECORD).read_text())["identity"], identity
        )
        return GSketch.load(folder)
    context = prepare(spec, samples)
    state = initial_state(spec)
    if load_checkpoint(folder, state, identity):
        on_event("teach.resumed", iteration=state.iteration)
    trim_history(folder, state.iteration)
    saved = state.iteration
    snapshot(context, state, spec, folder)
    while state.iteration < spec.teach.iterations:
        train_chunk(context, state, spec, folder, on_event)
        if state.iteration - saved >= checkpoint_every:
            save_checkpoint(folder, state, identity)
            saved = state.iteration
    finish(state, spec, folder, identity)
    return GSketch.load(folder)


def prepare(spec: OneShotSpec, samples: Samples | None = None) -> Context:
    """Work out once what every iteration needs."""
    example = spec.example or sample_example(spec)
    drawing = sketch_from_uint8(spec.pair.drawing).to(example.images.device)
    objective = Objective.of(example.images, drawing, spec.teach, spec.clip, spec.perceptual)
    samples = GeneratedSamples(
        spec.backbone,
        spec.prior,
        spec.sampling,
        spec.timesteps,
        spec.pair.embeddings,
        spec.teach.seed,
        spec.teach.diffusion_duration,
        spec.teach.cdst,
    )
    # Near the example's condition, halfway, and far from it; of a seed that training never uses.
    others = replace(samples, seed=stream_seed(spec.teach.seed, 0, "strip"))
    duration = spec.teach.diffusion_duration
    gallery = on_device(others.make([0, duration // 2, duration]), "cpu")
    return Context(example, objective, samples or samples, gallery)


def initial_state(spec: OneShotSpec) -> State:
    """Make an untrained G_sketch, a pure function of the seed, with its optimiser."""
    shapes = TapShapes.of(spec.backbone, spec.sampling.branches)
    config = GSketchConfig(shapes, spec.timesteps, spec.teach.vae_features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(spec.teach.seed, 0, "gsketch"))
        network = GSketch(config)
    network.to(spec.backbone.device)
    return State(network, torch.optim.Adam(network.parameters(), lr=spec.teach.learning_rate))


def train_chunk(
    context: Context, state: State, spec: OneShotSpec, folder: Path, on_event: OnEvent
) -> None:
    """Make one batch of samples and train on each; its taps are freed on return."""
    iterations = spec.teach.iterations
    indices = context.samples.chunk_of(state.iteration)
    start = time.perf_counter()
    chunk = context.samples.make(indices)
    embeddings = context.objective.embed(chunk.images)
    sampling_s = time.perf_counter() - start
    with (folder / HISTORY).open("a", encoding="utf-8") as history:
        for i in range(state.iteration, min(indices.stop, iterations)):
            at = i - indices.start
            losses = train_step(context, state, chunk, at, embeddings[at : at + 1])
            alpha, beta = mixing(i, spec.teach.diffusion_duration)
            line = {"iteration": i, **losses, "alpha": alpha, "beta": beta}
            history.write(json.dumps(line) + "\n")
            snapshot(context, state, spec, folder)
            on_event("teach.iteration", done=i + 1, total=iterations, **losses)
    on_event(
        "teach.batch",
        first=indices.start,
        samples=len(indices),
        sampling_s=sampling_s,
        training_s=time.perf_counter() - start - sampling_s,
    )


def train_step(
    context: Context, state: State, chunk: Sample, at: int, embedding: Tensor
) -> dict[str, float]:
    """One iteration on sample `at` of a batch: losses by name, the weighted sum as "loss"."""
    taps, images = beside(context.example, chunk, at)
    drawn = state.network(taps, images)  # (2, 1, H, W)
    terms = context.objective.terms(drawn, embedding)
    loss = context.objective.total(terms)
    values = torch.stack([loss, *(terms[name] for name in TERMS)]).tolist()  # one transfer
    losses = dict(zip(("loss", *TERMS), values, strict=True))
    if not all(map(math.isfinite, values)):
        raise DivergenceError(
            f"iteration {state.iteration}: losses are no longer finite ({losses}). Lower "
            f"teach.learning_rate, or sample in float32; {CHECKPOINT} holds the last sound state"
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    state.optimiser.step()
    state.iteration += 1
    return losses


def beside(example: Sample, chunk: Sample, at: int) -> tuple[Taps, Tensor]:
    """The example picture and sample `at` as one batch of 2: taps and images (2, 3, H, W).

    G_sketch normalises each picture by itself, so one pass over both equals a pass over each.
    """
    one = chunk.taps.images(at, at + 1)
    unet = {
        t: [torch.cat(pair) for pair in zip(features, one.unet[t], strict=True)]
        for t, features in example.taps.unet.items()
    }
    vae = [torch.cat(pair) for pair in zip(example.taps.vae, one.vae, strict=True)]
    return Taps(unet, vae), torch.cat([example.images, chunk.images[at : at + 1]])


def sample_example(spec: OneShotSpec) -> Sample:
    """Sample the example picture again, for its taps; ValueError if it comes out another."""
    pair = spec.pair
    example = sample(
        spec.backbone, pair.embeddings[None], pair.noise[None], spec.sampling, spec.timesteps
    )
    drift = float(abs(image_to_uint8(example.images)[0].astype(float) - pair.image).mean())
    if drift > LARGEST_DRIFT:
        raise ValueError(
            f"the backbone no longer makes the picture that was drawn over: expected a mean "
            f"difference of at most {LARGEST_DRIFT} grey levels, got {drift:.1f}. Use the "
            "backbone and sampling of source.json, or run `onesketch source` and draw again"
        )
    return example


@torch.no_grad()
def snapshot(context: Context, state: State, spec: OneShotSpec, folder: Path) -> None:
    """Keep the sketches of this iteration for the strip, where it has a column for them."""
    done = state.iteration
    if done not in snapshot_iterations(spec.teach.iterations) or done in state.snapshots:
        return
    sketches = [state.network(context.example.taps, context.example.images)]
    device = context.example.images.device
    for at in range(len(context.gallery.images)):
        taps = context.gallery.taps.images(at, at + 1).to(device)
        images = context.gallery.images[at : at + 1].to(device)
        sketches.append(state.network(taps, images))
    pages = sketch_to_uint8(torch.cat(sketches))
    state.snapshots[done] = torch.from_numpy(pages)  # (rows, H, W)
    draw_strip(strip_rows(context, state, spec)).save(folder / STRIP)


def strip_rows(context: Context, state: State, spec: OneShotSpec) -> list[StripRow]:
    """Rows of the strip: the example pair, then the gallery."""
    labels = ["sample 1", "sample 2", "sample 3"]
    if spec.teach.cdst:
        labels = ["near the\nexample", "halfway", "far away"]
    pictures = [spec.pair.image, *image_to_uint8(context.gallery.images)]
    rows = []
    for number, (label, picture) in enumerate(
        zip(["the one\nexample", *labels], pictures, strict=True)
    ):
        sketches = {i: pages[number].numpy() for i, pages in state.snapshots.items()}
        drawing = spec.pair.drawing if number == 0 else None
        rows.append(StripRow(label, picture, drawing, sketches))
    return rows


def finish(state: State, spec: OneShotSpec, folder: Path, identity: dict[str, Any]) -> None:
    """Write the teacher; the record comes last, and only then the checkpoint goes."""
    state.network.save(folder)
    spec.prior.save(folder / PRIOR_FILE)
    Conditions(
        spec.pair.embeddings, spec.sampling, spec.teach.cdst, spec.backbone.fingerprint
    ).save(folder)
    encoders = {"clip": spec.clip.label, "perceptual": spec.perceptual.label}
    record = {"identity": identity, "encoders": encoders, "iterations": state.iteration}
    write_json(folder / RECORD, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def on_device(made: Sample, device: str | torch.device) -> Sample:
    """Move a batch of samples with its taps."""
    return Sample(made.images.to(device), made.latents.to(device), made.taps.to(device))
