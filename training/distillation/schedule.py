"""The schedule of distillation: all that depends on the number of the iteration alone."""

from __future__ import annotations

from dataclasses import dataclass

CONSTANT_SHARE = 0.5  # of training, before the decay; pix2pixHD: 100 of 200 epochs


@dataclass(frozen=True)
class Schedule:
    """Iterations from 0: every `true_pair_every`-th is on the true pair, the others on batches.

    The true pair's iterations come on top: all batches are used, each once.

    Attributes:
        num_batches: how many batches the dataset's epochs make.
        true_pair_every: 2 or more.
        learning_rate: before the decay.
        constant_share: share of the training before the decay.

    Raises:
        ValueError: with this `true_pair_every` the dataset would never be seen.
    """

    num_batches: int
    true_pair_every: int
    learning_rate: float
    constant_share: float = CONSTANT_SHARE

    def __post_init__(self) -> None:
        if self.true_pair_every < 2:
            raise ValueError(
                f"distill.true_pair_every: expected 2 or more, got "
                f"{self.true_pair_every}; at 1 the dataset would never be seen"
            )

    @property
    def iterations(self) -> int:
        """Number of all iterations, including those on the true pair."""
        return self.num_batches + self.num_batches // (self.true_pair_every - 1)

    def is_true_pair(self, iteration: int) -> bool:
        """Tell whether an iteration is on the one true pair (DiffSketch 5.1)."""
        return (iteration + 1) % self.true_pair_every == 0

    def batches_before(self, iteration: int) -> int:
        """Count the batches used before an iteration: the data cursor."""
        return iteration - iteration // self.true_pair_every

    def rate(self, iteration: int) -> float:
        """Return the learning rate: constant, then linear towards zero, as pix2pixHD's."""
        left = (self.iterations - iteration) / self.iterations
        decaying = 1 - self.constant_share
        return self.learning_rate * (min(1.0, left / decaying) if decaying else 1.0)
