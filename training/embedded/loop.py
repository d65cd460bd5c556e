"""A resumable loop that trains any of the embedded models: Muon and AdamW, weight averaging."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.events import OnEvent
from training.checkpoint import Checkpoint, DivergenceError, read_checkpoint, write_checkpoint
from training.embedded.muon import Muon

LossFn = Callable[[int], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class EmbeddedSchedule:
    """Length and learning rate of one training: linear warm-up, constant, linear decay to zero.

    Attributes:
        steps: of the whole training.
        learning_rate: between warm-up and decay.
        warmup: steps until the learning rate is reached.
        decay_share: share of the steps, at the end, over which the rate decays.
        averaging: decay factor of the running average of the weights.
        checkpoint_every_s: seconds from one checkpoint to the next.
    """

    steps: int
    learning_rate: float
    warmup: int = 200
    decay_share: float = 0.3
    averaging: float = 0.999
    checkpoint_every_s: float = 120.0


# What Muon and AdamW keep per parameter, except AdamW's number of steps.
OPTIMISER_MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq")


def learning_rate_at(schedule: EmbeddedSchedule, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    warm = min(1.0, (step + 1) / schedule.warmup)
    left = (schedule.steps - step) / max(1.0, schedule.decay_share * schedule.steps)
    return schedule.learning_rate * warm * max(0.0, min(1.0, left))


class TrainingState:
    """A training: parameters, their running average, and optimisers, kept as safetensors.

    Weight matrices and convolutions are updated by Muon (orthogonalised momentum), the rest by
    AdamW (docs/results.md, "Training the embedded models").

    Step s depends on the state, on s and on the origin of the data alone, so the step is all that a
    checkpoint needs in addition to the tensors.

    Attributes:
        module: what learns.
        step: how many steps are done.
        identity: tells this training from any other.
    """

    def __init__(
        self, module: nn.Module, schedule: EmbeddedSchedule, folder: Path, origin: Mapping[str, Any]
    ) -> None:
        self.module, self.schedule, self.folder, self.step = module, schedule, folder, 0
        self.identity = asdict(schedule) | dict(origin)
        del self.identity["checkpoint_every_s"]
        named = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.names = list(named)
        self.parameters: list[Tensor] = list(named.values())
        self.average = [p.detach().clone() for p in self.parameters]
        tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        # torch's Muon takes matrices only: it gets views of the convolutions, which share storage.
        self.targets = [
            p.detach().view(p.shape[0], -1) if p.ndim > 1 and id(p) not in tables else p
            for p in self.parameters
        ]
        rate = schedule.learning_rate
        matrices = [t for t in self.targets if not t.requires_grad]
        others = [t for t in self.targets if t.requires_grad]
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=rate),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        ]

    def save(self) -> None:
        """Write the checkpoint, in place of the one before."""
        tensors: dict[str, Tensor] = {}
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            tensors[f"parameter.{name}"] = parameter
            tensors[f"average.{name}"] = average
        for name, target in zip(self.names, self.targets, strict=True):
            for key, value in self._optimiser_state(target).items():
                if key in OPTIMISER_MOMENTS:
                    tensors[f"{key}.{name}"] = value
        write_checkpoint(self.folder, Checkpoint(self.step, tensors), self.identity)

    def resume(self) -> None:
        """Resume from the folder's checkpoint if there is one.

        Raises:
            OtherRunError: it is of another training.
            ValueError: it cannot be read.
        """
        checkpoint = read_checkpoint(self.folder, self.identity)
        if checkpoint is None:
            return
        self.step, tensors = checkpoint.iteration, checkpoint.tensors
        for i, (name, parameter) in enumerate(zip(self.names, self.parameters, strict=True)):
            parameter.data.copy_(tensors[f"parameter.{name}"])
            self.average[i].copy_(tensors[f"average.{name}"])
            target = self.targets[i]
            moments = self._optimiser_state(target)
            for key in OPTIMISER_MOMENTS:
                if f"{key}.{name}" in tensors:
                    moments[key] = tensors[f"{key}.{name}"].to(target)
            if "exp_avg" in moments:
                moments["step"] = torch.tensor(float(self.step), device=target.device)

    def advance(self, loss_fn: LossFn) -> dict[str, float]:
        """Take one step: -> the loss, its terms, the gradient's norm and the rate.

        Raises:
            DivergenceError: the loss is not a finite number.
        """
        rate = learning_rate_at(self.schedule, self.step)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        loss, terms = loss_fn(self.step)
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"{self.folder.name}: expected a finite loss, got {loss.item()} at step "
                f"{self.step}; start again with another seed"
            )
        self.module.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for parameter, target in zip(self.parameters, self.targets, strict=True):
            if target is not parameter:
                target.grad = parameter.grad.view_as(target) if parameter.grad is not None else None
        for optimiser in self.optimisers:
            optimiser.step()
        # A short history at first, or the random start would linger in the average.
        keep = min(self.schedule.averaging, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, self.parameters, 1 - keep)
        self.step += 1
        return {"loss": loss.item(), "gradient_norm": norm.item(), "rate": rate, **terms}

    def adopt_average(self) -> None:
        """Put the averaged parameters, which are what is shipped, into the module."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            parameter.data.copy_(average)

    def _optimiser_state(self, target: Tensor) -> dict[str, Tensor]:
        return self.optimisers[1 if target.requires_grad else 0].state[target]


def train(
    module: nn.Module,
    loss_fn: LossFn,
    schedule: EmbeddedSchedule,
    folder: Path,
    on_event: OnEvent,
    origin: Mapping[str, Any],
) -> None:
    """Train a module to the schedule's end, from the folder's checkpoint if there is one.

    Args:
        module: what learns; left with its averaged parameters, in evaluation mode.
        loss_fn: gives the loss of a step and its terms.
        schedule: length and learning rate.
        folder: of the checkpoint; its name is the model's in events.
        on_event: listens to every 50th step.
        origin: what else the outcome depends on, such as the seed and the number of scenes.

    Raises:
        OtherRunError: the checkpoint is of another training.
        DivergenceError: the loss is no longer a finite number.
    """
    state = TrainingState(module, schedule, folder, origin)
    state.resume()
    module.train()
    saved = time.monotonic()
    while state.step < schedule.steps:
        terms = state.advance(loss_fn)
        if state.step % 50 == 0:
            on_event(
                "train-embedded.step",
                done=state.step,
                total=schedule.steps,
                model=folder.name,
                **terms,
            )
        if time.monotonic() - saved > schedule.checkpoint_every_s or state.step == schedule.steps:
            state.save()
            saved = time.monotonic()
    state.adopt_average()
    module.eval()
