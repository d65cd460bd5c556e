"""Benchmark `distill`: steps of the student's training, against pix2pixHD's loop as published.

B: pairs, H, W: pixels. Both sides train the same networks on the same batch, from the same weights.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    one_thread,
    ratios,
    seconds_of,
    take_turns,
)
from jobs.runtime.devices import choose_machine
from jobs.runtime.weights import locate
from pipeline.arrays import Pixels
from training.distillation.process_group import Alone
from training.distillation.spec import Execution
from training.distillation.state import State
from training.distillation.step import (
    StepSettings,
    compiles,
    memory_format,
    to_batch,
    train_step,
)
from training.encoders.features import (
    SLICE_WEIGHTS,
    VGG19_SLICE_ENDS,
    FeatureNetwork,
    Vgg19,
    load_features,
)
from training.students.pix2pixhd import BETAS, Pix2PixHD
from training.students.student import Batch

_RATE = 2e-4


@dataclass(frozen=True)
class _Workload:
    """Steps of one preset: pairs of a batch, their side in pixels, steps of each timed call."""

    preset: str
    pairs: int
    side: int
    steps: int

    def __str__(self) -> str:
        return f"{self.steps} x {self.pairs} pairs of {self.side} px, preset {self.preset}"


_TINY = (_Workload("small", 1, 64, 1),)
_ON_CPU = (_Workload("small", 4, 128, 1), _Workload("paper", 1, 128, 1))
_ON_GPU = (_Workload("paper", 8, 512, 5), _Workload("small", 32, 128, 20))
_GPU_TARGET, _CPU_TARGET = 1.5, 1.0
_LOSS_TOLERANCE = 0.02  # of bfloat16, which keeps two to three digits


def measure_distill(effort: Effort) -> BenchmarkResult:
    """Train some steps, as `distill` would on this machine: on GPUs in bfloat16 and compiled."""
    machine = choose_machine(effort.device)
    on_gpu = machine.num_gpus > 0
    dtype = torch.bfloat16 if on_gpu else torch.float32
    execution = Execution(device=machine.device, dtype=dtype)
    scores: list[BenchmarkScore] = []
    seconds: dict[str, list[float]] = {}
    compiled = compiles(execution)
    metadata: dict[str, Any] = {
        "device": torch.cuda.get_device_name(machine.device) if on_gpu else "one processor thread",
        "torch": torch.__version__,
        "dtype_ours": str(dtype),
        "dtype_peer": "torch.float32, with TF32 in convolutions as torch sets it"
        if on_gpu
        else "torch.float32",
        "compiled": str(compiled),
    }
    workloads = _TINY if effort.tiny else _ON_GPU if on_gpu else _ON_CPU
    for workload in workloads:
        with one_thread():
            found = _measure(workload, execution, compiled, effort.rounds)
        of = f", {workload.preset}"
        speed = ratios(found.peer_s, found.ours_s)
        target = _GPU_TARGET if on_gpu else _CPU_TARGET
        scores += [
            BenchmarkScore(f"times as fast{of}", speed, target, at_least=True),
            BenchmarkScore(
                f"difference of the first losses{of}",
                (found.difference,),
                _LOSS_TOLERANCE,
                at_least=False,
                unit="",
            ),
        ]
        seconds |= {f"ours{of}": found.ours_s, f"peer{of}": found.peer_s}
        metadata |= {f"{workload.preset}_{name}": fact for name, fact in found.facts.items()}
    return BenchmarkResult(
        workload=f"{'; '.join(map(str, workloads))}; on {metadata['device']}",
        peer="pix2pixHD's loop as published: single precision, nothing compiled, one pass of the "
        "discriminators for each term, none of them frozen; same networks, losses and Adam",
        scores=tuple(scores),
        seconds=seconds,
        metadata=metadata,
    )


@dataclass(frozen=True)
class _Found:
    ours_s: list[float]
    peer_s: list[float]
    difference: float
    facts: dict[str, Any]


def _measure(workload: _Workload, execution: Execution, compiled: bool, rounds: int) -> _Found:
    device = execution.device
    features = _features(workload.preset, device)
    batch = to_batch(*_pictures(workload), device)
    # As the loop's pictures lie in memory.
    plain_batch = Batch(batch.images.contiguous(), batch.sketches.contiguous())
    ours = _Ours(workload.preset, features, execution)
    peer = _Peer(workload.preset, features, device)
    if compiled:
        ours.state.student.compile()
    started_s = time.perf_counter()
    first = {name: float(loss) for name, loss in ours.step(batch).items()}
    first_step_s = time.perf_counter() - started_s
    expected = {name: float(loss) for name, loss in peer.step(plain_batch).items()}
    difference = max(abs(first[name] / loss - 1) for name, loss in expected.items())
    clock = time.perf_counter if device.startswith("cuda") else time.thread_time
    ours_s, peer_s = take_turns(
        _repeated(ours.step, batch, workload.steps),
        _repeated(peer.step, plain_batch, workload.steps),
        rounds,
        clock,
    )
    pairs = workload.steps * workload.pairs
    facts: dict[str, Any] = {
        "pairs_a_round": pairs,
        "pairs_per_s_ours": pairs / statistics.median(ours_s),
        "pairs_per_s_peer": pairs / statistics.median(peer_s),
    }
    if compiled:
        plain = _repeated(_Ours(workload.preset, features, execution).step, batch, workload.steps)
        plain()
        plain_s = [seconds_of(plain, clock) for _ in range(rounds)]
        facts["pairs_per_s_ours_not_compiled"] = pairs / statistics.median(plain_s)
        facts["first_step_s"] = first_step_s
    return _Found(ours_s, peer_s, difference, facts)


def _repeated(
    step: Callable[[Batch], dict[str, Tensor]], batch: Batch, steps: int
) -> Callable[[], None]:
    """Take some steps; the losses of the last are read back, as nothing is done before that."""

    def repeat() -> None:
        losses = [step(Batch(batch.images, batch.sketches)) for _ in range(steps)]
        assert all(math.isfinite(loss) for loss in losses[-1].values())

    return repeat


class _Ours:
    """The step of `training.distillation.step` on one rank."""

    def __init__(self, preset: str, features: FeatureNetwork, execution: Execution) -> None:
        self.state = State.of(_student(preset, features, execution.device))
        for phase in self.state.student.phases():
            phase.module.to(memory_format=memory_format(execution.device))
        self.settings = StepSettings(0, 1.0, Alone(), execution)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        return train_step(self.state, batch, _RATE, self.settings)


class _Peer:
    """The loop that Wang et al. 2018 describe and their public code runs, in our own words.

    The discriminators see the drawn pair detached, the true pair, and the drawn pair again for the
    generator; the generator's backward pass goes on into the discriminators' weights, and what it
    leaves there is thrown away before they take their own step.
    """

    def __init__(self, preset: str, features: FeatureNetwork, device: str) -> None:
        student = _student(preset, features, device)
        self.generator, self.discriminators = student.generator, student.discriminators
        self.features = features
        self.adam_g, self.adam_d = (
            torch.optim.Adam(network.parameters(), lr=_RATE, betas=BETAS)
            for network in (self.generator, self.discriminators)
        )

    def step(self, batch: Batch) -> dict[str, Tensor]:
        images, sketches = batch.images, batch.sketches
        drawn = self.generator(images)
        detached = self.discriminators(images, drawn.detach())
        true = self.discriminators(images, sketches)
        attached = self.discriminators(images, drawn)
        matching = drawn.new_zeros(())
        for of_fake, of_true in zip(attached, true, strict=True):
            for a, b in zip(of_fake[:-1], of_true[:-1], strict=True):
                matching = matching + F.l1_loss(a, b.detach()) / len(true)
        perceptual = drawn.new_zeros(())
        slices = (self.features.slices(drawn), self.features.slices(sketches))
        for weight, a, b in zip(SLICE_WEIGHTS, *slices, strict=True):
            perceptual = perceptual + weight * F.l1_loss(a, b.detach())
        terms = {
            "generator.adversarial": _squared(attached, 1.0),
            "generator.matching": 10.0 * matching,
            "generator.perceptual": 10.0 * perceptual,
            "discriminators.fake": 0.5 * _squared(detached, 0.0),
            "discriminators.real": 0.5 * _squared(true, 1.0),
        }
        for optimiser, part in ((self.adam_g, "generator."), (self.adam_d, "discriminators.")):
            optimiser.zero_grad()
            torch.stack([terms[name] for name in terms if name.startswith(part)]).sum().backward()
            optimiser.step()
        return {name: term.detach() for name, term in terms.items()}


def _squared(maps: list[list[Tensor]], target: float) -> Tensor:
    return torch.stack([(of_scale[-1] - target).square().mean() for of_scale in maps]).sum()


def _student(preset: str, features: FeatureNetwork, device: str) -> Pix2PixHD:
    torch.manual_seed(0)
    student = Pix2PixHD.create(preset, features)
    for phase in student.phases():
        phase.module.to(device)
    return student


def _features(preset: str, device: str) -> FeatureNetwork:
    """Return the feature network that goes with a preset, the large one with random weights."""
    if preset == "small":
        return load_features(locate("perceptual", "embedded"), device)
    torch.manual_seed(0)
    trunk = torchvision.models.vgg19().features[: VGG19_SLICE_ENDS[-1]]
    for layer in trunk:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return Vgg19(trunk, "random weights").to(device)


def _pictures(workload: _Workload) -> tuple[Pixels, Pixels]:
    """Draw pictures of noise with their grey levels as sketches, uint8."""
    random = np.random.default_rng(0)
    shape = (workload.pairs, workload.side, workload.side, 3)
    images = random.integers(0, 256, shape, dtype=np.uint8)
    return images, images.mean(axis=3).astype(np.uint8)
