"""When distillation does what: everything that depends on the number of the iteration alone."""

from __future__ import annotations

from dataclasses import dataclass

CONSTANT_SHARE = 0.5  # of training, before the decay; pix2pixHD: 100 of 200 epochs


@dataclass(frozen=True)
class Schedule:
    """Iterations from 0: every `true_pair_every`-th is on the true pair, the others on batches.

    The true pair's iterations come on top: `num_batches` batches are all used, each once.
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
        """All iterations, those on the true pair included."""
        return self.num_batches + self.num_batches // (self.true_pair_every - 1)

    def is_true_pair(self, iteration: int) -> bool:
        """Whether an iteration is taken on the one true pair (DiffSketch 5.1)."""
        return (iteration + 1) % self.true_pair_every == 0

    def batches_before(self, iteration: int) -> int:
        """Batches used before an iteration: the data cursor."""
        return iteration - iteration // self.true_pair_every

    def rate(self, iteration: int) -> float:
        """Learning rate: constant, then linear towards zero (pix2pixHD's schedule)."""
        left = (self.iterations - iteration) / self.iterations
        decaying = 1 - self.constant_share
        return self.learning_rate * (min(1.0, left / decaying) if decaying else 1.0)
