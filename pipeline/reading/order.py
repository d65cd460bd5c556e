"""The order in which a dataset is read: a pure function of seed, epoch and the shards' sizes.

It knows nothing of ranks and threads, so that none of them can change what a step is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.seeds import stream_seed

# Shards that are shuffled together: 8,192 pairs at 128 a shard, some 4 GB at 512 pixels. A bigger
# window mixes better; beyond it a cluster's nodes would all need the whole dataset at hand.
WINDOW_SHARDS = 64


@dataclass(frozen=True)
class Order:
    """Samples of every epoch, cut into equal steps of `batch` pairs over all ranks together.

    `sizes` are the shards' numbers of pairs. What is left over at an epoch's end, less than one
    batch, is left out of that epoch, a different part each time.
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
        """Steps of an epoch, the same for every rank."""
        return sum(self.sizes) // self.batch

    def places(self, step: int) -> NDArray[np.int64]:
        """(batch, 2): shard and position in it of each pair of a step counted over all epochs."""
        epoch, within = divmod(step, self.steps)
        return _epoch(self.sizes, self.seed, epoch, self.window)[
            within * self.batch : (within + 1) * self.batch
        ]

    def is_flipped(self, step: int, place: Sequence[int]) -> bool:
        """Whether a pair is mirrored in this step's epoch: by (seed, epoch, pair)."""
        epoch = step // self.steps
        shard, position = (int(part) for part in place)
        return stream_seed(self.seed, epoch, f"distill.flip.{shard}.{position}") % 2 == 1


@lru_cache(maxsize=4)
def _epoch(sizes: tuple[int, ...], seed: int, epoch: int, window: int) -> NDArray[np.int64]:
    """Shuffle shards, then the pairs of each window of them: (pairs, 2) shard, position."""
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
