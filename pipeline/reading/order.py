"""The order in which a dataset is read: a pure function of seed, epoch and the shards' sizes.

It does not depend on ranks or threads, so that they cannot change what a step consists of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.seeds import stream_seed

# Shards that are shuffled together: 8,192 pairs at 128 a shard, some 4 GB at 512 pixels. A larger
# window mixes better; without one, every node of a cluster would need the whole dataset at hand.
WINDOW_SHARDS = 64


@dataclass(frozen=True)
class Order:
    """The pairs of every epoch, divided into equal steps of `batch` pairs over all ranks together.

    `sizes` are the shards' numbers of pairs. The remainder at an epoch's end, less than a batch, is
    left out of that epoch; it is another part of the dataset each time.
    """

    sizes: tuple[int, ...]
    batch: int
    seed: int
    window: int = WINDOW_SHARDS

    def __post_init__(self) -> None:
        if not self.batch <= sum(self.sizes):
            raise ValueError(
                f"distill.batch: expected at most the dataset's {sum(self.sizes)} "
                f"pairs, got {self.batch}"
            )

    @property
    def steps(self) -> int:
        """Number of steps in an epoch, the same for every rank."""
        return sum(self.sizes) // self.batch

    def places(self, step: int) -> NDArray[np.int64]:
        """Return where the pairs of a step are.

        Args:
            step: counted over all epochs.

        Returns:
            (batch, 2): the shard of each pair and its position in that shard.
        """
        epoch, within = divmod(step, self.steps)
        return _epoch(self.sizes, self.seed, epoch, self.window)[
            within * self.batch : (within + 1) * self.batch
        ]

    def is_flipped(self, step: int, place: Sequence[int]) -> bool:
        """Tell whether a pair is mirrored in this step's epoch, by (seed, epoch, pair)."""
        epoch = step // self.steps
        shard, position = map(int, place)
        return stream_seed(self.seed, epoch, f"distill.flip.{shard}.{position}") % 2 == 1


@lru_cache(maxsize=4)
def _epoch(sizes: tuple[int, ...], seed: int, epoch: int, window: int) -> NDArray[np.int64]:
    """Shuffle shards, then the pairs within each window of them: (pairs, 2) of shard, position."""
    random = np.random.Generator(np.random.PCG64(stream_seed(seed, epoch, "distill.order")))
    shards = random.permutation(len(sizes))
    windows = []
    for start in range(0, len(shards), window):
        pairs = [
            np.stack([np.full(sizes[shard], shard), np.arange(sizes[shard])], axis=1)
            for shard in shards[start : start + window]
        ]
        windows.append(random.permutation(np.concatenate(pairs)))
    return np.concatenate(windows).astype(np.int64)
