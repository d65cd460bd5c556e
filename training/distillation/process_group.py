"""Several processes that train one network: the rank of this one, and the mean of gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, distributed, nn

# Gradients travel in pieces of this size: large enough for the network, small beside the model.
BUCKET_BYTES = 64 * 2**20


class Ranks(Protocol):
    """The processes of a training; rank 0 keeps the records."""

    @property
    def rank(self) -> int:
        """The number of this one, from 0."""
        ...

    @property
    def count(self) -> int:
        """The number of them all."""
        ...

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks, in place."""
        ...

    def average(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all ranks."""
        ...


@dataclass(frozen=True)
class Alone:
    """A single process, whose mean is its own value."""

    rank: int = 0
    count: int = 1

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients as they are."""

    def average(self, values: Tensor) -> Tensor:
        """Return the values as they are."""
        return values


@dataclass(frozen=True)
class ProcessGroup:
    """Ranks of torch.distributed's default group.

    Instead of DistributedDataParallel, whose reducer expects one forward through one wrapper with
    every parameter in use: a student has several phases, each with its own part frozen. Ranks
    start from the same seed or checkpoint, so that weights need no broadcast.
    """

    rank: int
    count: int

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks, in place, bucket by bucket."""
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            means = self.average(torch.cat([gradient.reshape(-1) for gradient in bucket]))
            parts = means.split([gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def average(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all ranks."""
        total = values.clone()
        distributed.all_reduce(total)
        return total / self.count


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size_bytes = 0
    for gradient in gradients:
        bucket.append(gradient)
        size_bytes += gradient.nbytes
        if size_bytes >= BUCKET_BYTES:
            yield bucket
            bucket, size_bytes = [], 0
    if bucket:
        yield bucket
