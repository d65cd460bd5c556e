"""One-shot training of G_sketch: one drawing in, a teacher out (DiffSketch 4.2, 4.3, 5.1).

Adam, one new sample per iteration; the samples come in batches made ahead
(`training.oneshot.samples`), the example's taps and embeddings are computed once. Functions bear
the names that they have in `training.distillation.loop`. B: pictures, H, W: pixels.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.cdst import mixing
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import Sample, sample
from pipeline.diffusion.taps import Taps, TapShapes
from pipeline.events import OnEvent
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.images.write import write_png
from pipeline.pixels import image_to_uint8, sketch_from_uint8, sketch_to_uint8
from pipeline.seeds import stream_seed
from pipeline.systems.conditions import PRIOR_FILE, Conditions
from training.checkpoint import (
    CHECKPOINT,
    HISTORY,
    DivergenceError,
    check_identity,
    trim_history,
)
from training.keeper import FolderKeeper, Keeper
from training.oneshot.objective import TERMS, Objective
from training.oneshot.record import EXAMPLE_SKETCH, RECORD, read_record, write_record
from training.oneshot.samples import GeneratedSamples, Samples
from training.oneshot.spec import OneShotSpec
from training.oneshot.state import State, load_checkpoint, save_checkpoint
from training.oneshot.stopping import undivided
from training.snapshots import STRIP, StripRow, snapshot_iterations, write_strip
from training.tensor_hash import sha256_of_network

CHECKPOINT_EVERY_S = 60.0  # rounded up to whole batches of samples
LARGEST_DRIFT = 4.0  # grey levels, mean over the picture, between the drawn and the remade one


@dataclass(frozen=True)
class Context:
    """What stays fixed through a training.

    Attributes:
        identity: tells the folder's training from any other.
        example: the example's image with its taps, a batch of 1.
        objective: the losses, with all that is known about the example.
        samples: what each iteration trains on.
        shown_samples: a few fixed samples, on the CPU, whose sketches the strip shows.
    """

    spec: OneShotSpec
    folder: Path
    identity: dict[str, Any]
    example: Sample
    objective: Objective
    samples: Samples
    shown_samples: Sample


def fit(
    spec: OneShotSpec,
    folder: Path,
    on_event: OnEvent,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    samples: Samples | None = None,
    keeper: Keeper | None = None,
) -> GSketch:
    """Train G_sketch, or resume an interrupted training of the same spec.

    Leaves in the folder: the teacher (gsketch.safetensors, config.json, prior.safetensors,
    condition.safetensors), its sketch of the example (known.png), strip.png, history.jsonl (all
    loss terms of each iteration) and, last, teach.json. A folder that is complete is loaded.

    Args:
        checkpoint_every_s: seconds between two checkpoints, at least.
        samples: where the spec's samples are read that somebody else made; by default they are
            made here, batch by batch. They must be the same samples: the identity is the spec's.
        keeper: where checkpoints and the teacher outlive the process; by default the folder.

    Raises:
        OtherRunError: the folder holds another training.
        DivergenceError: the loss stops being finite.
        ValueError: the backbone no longer makes the image that was drawn over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = spec.identity()
    record = read_record(folder)
    if record is not None:
        check_identity(folder / RECORD, record["identity"], identity)
        return GSketch.load(folder)
    context = prepare(spec, folder, samples)
    state = initial_state(spec)
    keeper = keeper or FolderKeeper()
    if latest := keeper.latest():
        keeper.restore(latest, folder)
    if load_checkpoint(folder, state, identity):
        on_event("teach.resumed", iteration=state.iteration)
    trim_history(folder, state.iteration)
    train(context, state, on_event, checkpoint_every_s, keeper)
    _write_teacher(context, state)
    keeper.finish(folder)
    return GSketch.load(folder)


def prepare(spec: OneShotSpec, folder: Path, samples: Samples | None = None) -> Context:
    """Compute once what every iteration needs."""
    teach = spec.teach
    example = spec.example or sample_example(spec)
    drawing = sketch_from_uint8(spec.pair.drawing).to(example.images.device)
    generated = generated_samples(spec)
    # Near the example's condition, halfway, and far from it; of a seed that training never uses.
    others = replace(generated, seed=stream_seed(teach.seed, 0, "strip"))
    shown = [0, teach.diffusion_duration // 2, teach.diffusion_duration]
    return Context(
        spec=spec,
        folder=folder,
        identity=spec.identity(),
        example=example,
        objective=Objective.of(example.images, drawing, teach, spec.clip, spec.perceptual),
        samples=samples or generated,
        shown_samples=_on_device(others.make(shown), "cpu"),
    )


def generated_samples(spec: OneShotSpec) -> GeneratedSamples:
    """Return a spec's samples, made where its backbone is."""
    return GeneratedSamples(
        spec.backbone,
        spec.prior,
        spec.sampling,
        spec.timesteps,
        spec.generated.embeddings,
        spec.teach.seed,
        spec.teach.diffusion_duration,
        spec.teach.cdst,
    )


def initial_state(spec: OneShotSpec) -> State:
    """Make an untrained G_sketch, a pure function of the seed, with its optimiser."""
    shapes = TapShapes.of(spec.backbone, guidance_of(spec.sampling).branches)
    config = GSketchConfig(shapes, spec.timesteps, spec.teach.vae_features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(spec.teach.seed, 0, "gsketch"))
        network = GSketch(config)
    network.to(spec.backbone.device)
    return State(network, torch.optim.Adam(network.parameters(), lr=spec.teach.learning_rate))


def train(
    context: Context, state: State, on_event: OnEvent, checkpoint_every_s: float, keeper: Keeper
) -> None:
    """Train from the current iteration to the last; Ctrl-C and SIGTERM leave a checkpoint."""
    saved_at = time.monotonic()
    total = context.spec.teach.iterations
    snapshot(context, state)
    try:
        while state.iteration < total:
            train_chunk(context, state, on_event)
            if time.monotonic() - saved_at >= checkpoint_every_s:
                save_checkpoint(context.folder, state, context.identity)
                keeper.keep(context.folder, state.iteration)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        save_checkpoint(context.folder, state, context.identity)
        keeper.keep(context.folder, state.iteration, wait=True)
        on_event("teach.stopped", kept=state.iteration, of=total, what="iterations")
        raise


def train_chunk(context: Context, state: State, on_event: OnEvent) -> None:
    """Take one batch of samples and train on each; its taps are freed on return."""
    indices = context.samples.chunk_of(state.iteration)
    start = time.perf_counter()
    chunk = context.samples.make(indices)
    embeddings = context.objective.embed(chunk.images)
    sampling_s = time.perf_counter() - start
    for i in range(state.iteration, min(indices.stop, context.spec.teach.iterations)):
        at = i - indices.start
        with undivided():
            losses = train_step(context, state, chunk, at, embeddings[at : at + 1])
            log_losses(context, state, losses, on_event)
            snapshot(context, state)
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
    """Take one iteration on sample `at` of a batch.

    Args:
        embedding: of that sample, (1, D).

    Returns:
        The losses by name, the weighted sum as "loss".

    Raises:
        DivergenceError: one of them is not finite.
    """
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
    """Put the example and sample `at` into one batch of 2: taps and images (2, 3, H, W).

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
    """Sample the example's image again, for its taps; ValueError if it comes out as another."""
    generated = spec.generated
    example = sample(
        spec.backbone,
        generated.embeddings[None],
        generated.noise[None],
        spec.sampling,
        spec.timesteps,
    )
    drift = float(abs(image_to_uint8(example.images)[0].astype(float) - spec.pair.image).mean())
    if drift > LARGEST_DRIFT:
        raise ValueError(
            f"the backbone no longer makes the picture that was drawn over: expected a mean "
            f"difference of at most {LARGEST_DRIFT} grey levels, got {drift:.1f}. Use the "
            "backbone and sampler of source.json, or run `onesketch source` and draw again"
        )
    return example


def log_losses(context: Context, state: State, losses: dict[str, float], on_event: OnEvent) -> None:
    """Write the losses of the last iteration to the history."""
    iteration = state.iteration - 1
    alpha, beta = mixing(iteration, context.spec.teach.diffusion_duration)
    line = {"iteration": iteration, **losses, "alpha": alpha, "beta": beta}
    with (context.folder / HISTORY).open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")
    total = context.spec.teach.iterations
    on_event("teach.iteration", done=state.iteration, total=total, **losses)


@torch.no_grad()
def snapshot(context: Context, state: State) -> None:
    """Keep the sketches of this iteration for the strip, where it has a column for them."""
    done = state.iteration
    wanted = done in snapshot_iterations(context.spec.teach.iterations)
    if not wanted or done in state.snapshots:
        return
    sketches = [state.network(context.example.taps, context.example.images)]
    device = context.example.images.device
    for at in range(len(context.shown_samples.images)):
        taps = context.shown_samples.taps.images(at, at + 1).to(device)
        images = context.shown_samples.images[at : at + 1].to(device)
        sketches.append(state.network(taps, images))
    pages = sketch_to_uint8(torch.cat(sketches))
    state.snapshots[done] = torch.from_numpy(pages)  # (pictures, H, W)
    write_strip(context.folder / STRIP, _strip_rows(context, state))


def _strip_rows(context: Context, state: State) -> list[StripRow]:
    """Return the rows of the strip: the example, then the shown samples."""
    spec = context.spec
    labels = ["sample 1", "sample 2", "sample 3"]
    if spec.teach.cdst:
        labels = ["near the\nexample", "halfway", "far away"]
    pictures = [spec.pair.image, *image_to_uint8(context.shown_samples.images)]
    rows = []
    for number, (label, picture) in enumerate(
        zip(["the one\nexample", *labels], pictures, strict=True)
    ):
        sketches = {i: pages[number].numpy() for i, pages in state.snapshots.items()}
        drawing = spec.pair.drawing if number == 0 else None
        rows.append(StripRow(label, picture, drawing, sketches))
    return rows


def _write_teacher(context: Context, state: State) -> None:
    """Write the teacher; the record comes last, and only then the checkpoint goes."""
    spec, folder = context.spec, context.folder
    state.network.save(folder)
    with torch.no_grad():
        sketcher = GSketch.load(folder).to(spec.backbone.device)
        sketch = sketcher(context.example.taps, context.example.images)
    write_png(folder / EXAMPLE_SKETCH, sketch_to_uint8(sketch)[0])
    spec.prior.save(folder / PRIOR_FILE)
    Conditions(
        spec.generated.embeddings, spec.sampling, spec.teach.cdst, spec.backbone.fingerprint
    ).save(folder)
    write_record(
        folder,
        {
            "teacher": spec.teach.teacher,
            "identity": context.identity,
            "encoders": {"clip": spec.clip.label, "perceptual": spec.perceptual.label},
            "clip_sha256": sha256_of_network(spec.clip),
            "clip_files_sha256": spec.clip.files_sha256,
            "iterations": state.iteration,
        },
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _on_device(made: Sample, device: str | torch.device) -> Sample:
    return Sample(made.images.to(device), made.latents.to(device), made.taps.to(device))
