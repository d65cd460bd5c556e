"""One step of distillation: each phase of the student in turn, all else frozen.

B: pairs of this rank, H, W: pixels. Students work in float [-1, 1]; shards hold uint8.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, signed_from_uint8
from pipeline.seeds import stream_seed
from training.distillation.process_group import Ranks
from training.distillation.spec import Execution
from training.distillation.state import State
from training.students.student import Batch


def train_step(
    state: State, batch: Batch, rate: float, seed: int, ranks: Ranks, execution: Execution
) -> dict[str, Tensor]:
    """Take one iteration.

    Args:
        state: changed in place; its iteration is counted on.
        batch: this rank's share of the pairs.
        rate: the learning rate.
        seed: of the training; the step's random numbers follow from it.
        ranks: the processes that train together.
        execution: device and dtype.

    Returns:
        The loss terms of this rank by phase and name, detached.
    """
    phases = state.student.phases()
    torch.manual_seed(stream_seed(seed, state.iteration, f"distill.step.{ranks.rank}"))
    terms: dict[str, Tensor] = {}
    for phase in phases:
        for other in phases:
            # No weight gradients are computed for the others, nor sent to the other ranks.
            other.module.requires_grad_(other is phase)
        optimiser = state.optimisers[phase.name]
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(
            torch.device(execution.device).type,
            execution.dtype,
            enabled=execution.dtype != torch.float32,
        ):
            losses = state.student.losses(phase.name, batch)
        torch.stack(list(losses.values())).sum().backward()
        ranks.average_gradients(phase.module.parameters())
        optimiser.step()
        terms |= {f"{phase.name}.{name}": loss.detach() for name, loss in losses.items()}
    state.iteration += 1
    return terms


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
