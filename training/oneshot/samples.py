"""Samples for one-shot training, made ahead in batches (DiffSketch 4.3).

Sampling does not depend on the weights being trained. B: samples, L: tokens, D: text channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior, condition
from pipeline.diffusion.sampling import Sample, initial_noise, sample
from pipeline.recipe.recipe import Sampling
from pipeline.seeds import generator

# Streams of their own: a dataset of the same seed must not repeat the training samples.
CONDITION_STREAM = "teach-condition"
NOISE_STREAM = "teach-noise"


class Samples(Protocol):
    """The samples of a training, from any source."""

    def chunk_of(self, index: int) -> range:
        """Return the batch that sample `index` comes in."""
        ...

    def make(self, indices: Sequence[int]) -> Sample:
        """Return a batch that `chunk_of` named: images and taps of len(indices) samples."""
        ...


def batch_of(index: int, size: int) -> range:
    """Return the batch that holds `index`, full and at a multiple of its size."""
    first = index - index % size
    return range(first, first + size)


@dataclass(frozen=True)
class GeneratedSamples:
    """The endless list of training samples; sample i depends on (seed, i) and nothing else.

    Attributes:
        timesteps: the steps to tap, counted from the END.
        example: embedding of the example's prompt, (L, D).
        duration: S of equation 5 (DiffSketch 4.3).
        cdst: False draws every condition from the prior alone (an ablation of the paper's Table 1).
    """

    backbone: Backbone
    prior: ConditionPrior
    sampling: Sampling
    timesteps: tuple[int, ...]
    example: Tensor
    seed: int
    duration: int
    cdst: bool = True

    def chunk_of(self, index: int) -> range:
        """Return the batch that sample `index` is made in.

        Batches are always full and lie at multiples of their size, since kernels may round
        differently at another size: however long a run is and wherever it is resumed, sample i
        comes out with the same bits.
        """
        return batch_of(index, self.sampling.batch)

    def make(self, indices: Sequence[int]) -> Sample:
        """Sample a batch by address: images and taps of len(indices) samples."""
        noise = initial_noise(
            self.backbone, [generator(self.seed, i, NOISE_STREAM) for i in indices]
        )
        return sample(self.backbone, self.conditions(indices), noise, self.sampling, self.timesteps)

    def conditions(self, indices: Sequence[int]) -> Tensor:
        """Return the conditions C_i of equation 5, or plain draws without CDST: (B, L, D)."""
        generators = [generator(self.seed, i, CONDITION_STREAM) for i in indices]
        drawn = self.prior.sample_many(generators)
        if not self.cdst:
            return drawn
        example = self.example.to(drawn)
        mixed = [
            condition(example, d, i, self.duration) for d, i in zip(drawn, indices, strict=True)
        ]
        return torch.stack(mixed)


class Spread(Protocol):
    """Spreads the making of samples over more processes than the training's own."""

    def __call__(self, samples: GeneratedSamples, count: int) -> AbstractContextManager[Samples]:
        """Give the same samples, 0 to count - 1, from wherever they are made."""
        ...


def alone(samples: GeneratedSamples, count: int) -> AbstractContextManager[Samples]:
    """Leave them to the training's own process."""
    return nullcontext(samples)
