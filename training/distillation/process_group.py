"""Several processes that train one network: the rank of this one, and the mean of gradients."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, distributed, nn

from training.distillation.gradients import averaged


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

    def averaging(
        self, parameters: Iterable[nn.Parameter], weight: float
    ) -> AbstractContextManager[None]:
        """Replace gradients by their mean over all ranks while one backward pass runs within.

        Args:
            parameters: the same on every rank, in the same order.
            weight: this rank's share of the batch; all ranks' shares sum to 1.
        """
        ...

    def average(self, values: Tensor, weight: float) -> Tensor:
        """Return the mean of a tensor over all ranks, weighted by their shares."""
        ...

    def share(self, text: str) -> str:
        """Return the text of rank 0."""
        ...


@dataclass(frozen=True)
class Alone:
    """A single process, whose mean is its own value."""

    rank: int = 0
    count: int = 1

    def averaging(
        self, parameters: Iterable[nn.Parameter], weight: float
    ) -> AbstractContextManager[None]:
        """Leave the gradients as they are."""
        return nullcontext()

    def average(self, values: Tensor, weight: float) -> Tensor:
        """Return the values as they are."""
        return values

    def share(self, text: str) -> str:
        """Return the text as it is."""
        return text


@dataclass(frozen=True)
class ProcessGroup:
    """Ranks of torch.distributed's default group.

    Instead of DistributedDataParallel, whose reducer expects one forward through one wrapper with
    every parameter in use: a student has several phases, each with its own part frozen. Ranks
    start from the same seed or checkpoint, so that weights need no broadcast.
    """

    rank: int
    count: int

    def averaging(
        self, parameters: Iterable[nn.Parameter], weight: float
    ) -> AbstractContextManager[None]:
        """Replace gradients by their mean over all ranks while one backward pass runs within."""
        return averaged(parameters, weight)

    def average(self, values: Tensor, weight: float) -> Tensor:
        """Return the mean of a tensor over all ranks, weighted by their shares."""
        total = values * weight
        distributed.all_reduce(total)
        return total

    def share(self, text: str) -> str:
        """Return the text of rank 0."""
        texts = [text]
        distributed.broadcast_object_list(texts, src=0)
        return texts[0]
