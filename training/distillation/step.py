"""One step of distillation: each phase of the student in turn, all else frozen.

B: pairs of this rank, H, W: pixels. Students work in float [-1, 1]; shards hold uint8.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, signed_from_uint8
from pipeline.seeds import stream_seed
from training.distillation.process_group import Ranks
from training.distillation.spec import Execution
from training.distillation.state import State
from training.students.student import Batch, Phase


@dataclass(frozen=True)
class StepSettings:
    """What stays the same from step to step on one rank.

    Attributes:
        seed: of the training; the random numbers of a step follow from it.
        weight: this rank's share of each batch.
    """

    seed: int
    weight: float
    ranks: Ranks
    execution: Execution


def train_step(
    state: State, batch: Batch, rate: float, settings: StepSettings
) -> dict[str, Tensor]:
    """Take one iteration.

    Args:
        state: changed in place; its iteration is counted on.
        batch: this rank's pairs.
        rate: the learning rate.

    Returns:
        The loss terms of this rank by phase and name, detached.
    """
    ranks = settings.ranks
    torch.manual_seed(stream_seed(settings.seed, state.iteration, f"distill.step.{ranks.rank}"))
    parts = split_batch(batch, settings.execution.micro_batch)
    terms: dict[str, Tensor] = {}
    phases = state.student.phases()
    for phase in phases:
        for other in phases:
            # No weight gradients are computed for the others, nor sent to the other ranks.
            other.module.requires_grad_(other is phase)
        optimiser = state.optimisers[phase.name]
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        losses = _accumulate(state, phase, parts, settings)
        optimiser.step()
        terms |= {f"{phase.name}.{name}": loss for name, loss in losses.items()}
    state.iteration += 1
    return terms


def split_batch(batch: Batch, most: int | None) -> list[Batch]:
    """Divide a batch into parts of `most` pairs, the last perhaps of fewer; None: one part."""
    if most is None:
        return [batch]
    pairs = zip(batch.images.split(most), batch.sketches.split(most), strict=True)
    return [Batch(images, sketches) for images, sketches in pairs]


def _accumulate(
    state: State, phase: Phase, parts: list[Batch], settings: StepSettings
) -> dict[str, Tensor]:
    """Add up the gradients of a phase over the parts of a batch, then their mean over ranks.

    Losses are means over pairs, so that each part counts by its share of them.
    """
    execution = settings.execution
    count = sum(len(part.images) for part in parts)
    means: dict[str, Tensor] = {}
    for part in parts:
        with torch.autocast(
            torch.device(execution.device).type,
            execution.dtype,
            enabled=execution.dtype != torch.float32,
        ):
            losses = state.student.losses(phase.name, part)
        weighted = {name: loss * (len(part.images) / count) for name, loss in losses.items()}
        # Before the last part gradients are not whole, and stay at home.
        averaging = (
            settings.ranks.averaging(phase.module.parameters(), settings.weight)
            if part is parts[-1]
            else nullcontext()
        )
        with averaging:
            torch.stack(list(weighted.values())).sum().backward()
        for name, loss in weighted.items():
            means[name] = means[name] + loss.detach() if name in means else loss.detach()
    return means


def compiles(execution: Execution) -> bool:
    """Tell whether the networks are to be compiled: where that was asked for, or on GPUs.

    Raises:
        ValueError: it was asked for, and the machine has no compiler.
    """
    on_gpu = execution.device.startswith("cuda")
    # torch.compile writes C++ for processors; for GPUs Triton, which builds its launchers in C.
    names = ("CC", "gcc", "clang") if on_gpu else ("CXX", "g++", "clang++")
    variable, *programs = names
    found = any(shutil.which(name) for name in (os.environ.get(variable, ""), *programs) if name)
    if execution.compile and not found:
        raise ValueError(
            f"compile: expected a compiler ({' or '.join(programs)}, or ${variable}) on this "
            "machine, found none; install one or train without"
        )
    return found and (on_gpu if execution.compile is None else execution.compile)


def to_batch(images: Pixels, sketches: Pixels, device: str) -> Batch:
    """uint8 (B, H, W, 3) and (B, H, W) -> float (B, 3, H, W) and (B, 1, H, W) in [-1, 1]."""
    # Bytes travel to the device, floats are made there.
    layout = memory_format(device)
    pictures, drawings = (
        signed_from_uint8(channels_first(pixels, device)).contiguous(memory_format=layout)
        for pixels in (images, sketches[..., None])
    )
    return Batch(pictures, drawings)


def memory_format(device: str) -> torch.memory_format:
    """Return the layout that is fastest for convolutions (docs/results.md)."""
    on_gpu = device.startswith("cuda")
    return torch.channels_last if on_gpu else torch.contiguous_format
