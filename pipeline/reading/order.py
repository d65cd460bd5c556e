"""The order in which a dataset is read: a function of seed, epoch, batch and the shards' sizes.

A batch has slots, and each slot reads a sequence of shards of its own. Ranks share the slots, so
that neither ranks nor threads change what a step consists of, and a cluster of any size needs each
shard about once an epoch.

All pairs of an epoch stand in a line, by shuffled shard. Each slot gets a piece of it, as long as
the epoch has steps; nothing larger than the shards' offsets in the line is ever held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.seeds import stream_seed

# Shards that all slots together read from at the same time, or one a slot where there are more
# slots: 8,192 pairs at 128 a shard, some 4 GB at 512 pixels. More would mix better; without a
# window, every node of a cluster would need the whole dataset at hand.
WINDOW_SHARDS = 64


@dataclass(frozen=True)
class Order:
    """The pairs of every epoch, divided into equal steps of `batch` pairs over all ranks together.

    `sizes` are the shards' numbers of pairs. The remainder at the end of an epoch's line, less than
    a batch, is left out of that epoch; it is another part of the dataset each time. Objects
    remember what they computed last, for one thread.
    """

    sizes: tuple[int, ...]
    batch: int
    seed: int
    window: int = WINDOW_SHARDS
    total: int = field(init=False)
    _lines: dict[int, _Line] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(self.sizes))
        if not self.batch <= self.total:
            raise ValueError(
                f"distill.batch: expected at most the dataset's {self.total} pairs, "
                f"got {self.batch}"
            )

    @property
    def steps(self) -> int:
        """Number of steps in an epoch, the same for every slot."""
        return self.total // self.batch

    def places(self, step: int, slots: range | None = None) -> NDArray[np.int64]:
        """Return where the pairs of a step are.

        Args:
            step: counted over all epochs.
            slots: those asked for; by default the whole batch.

        Returns:
            (slots, 2): the shard of each pair and its position in that shard.
        """
        epoch, within = divmod(step, self.steps)
        return self._line(epoch).places(within, slots or range(self.batch))

    def is_flipped(self, step: int, place: Sequence[int]) -> bool:
        """Tell whether a pair is mirrored in this step's epoch, by (seed, epoch, pair)."""
        epoch = step // self.steps
        shard, position = map(int, place)
        return stream_seed(self.seed, epoch, f"distill.flip.{shard}.{position}") % 2 == 1

    def shards_in_use(self, slots: int) -> int:
        """Return how many shards so many neighbouring slots read from at the same time, at most."""
        # One more for each pair of slots: where two pieces of the line meet, they share a shard.
        return min(slots * self._slot_window + slots // 2 + 1, sum(size > 0 for size in self.sizes))

    @property
    def _slot_window(self) -> int:
        return max(1, self.window // self.batch)

    def _line(self, epoch: int) -> _Line:
        if epoch not in self._lines:
            # A reader looks ahead into the next epoch.
            for old in sorted(self._lines)[:-1]:
                del self._lines[old]
            self._lines[epoch] = _Line.shuffled(self, epoch)
        return self._lines[epoch]


def slots_of(rank: int, ranks: int, batch: int) -> range:
    """Return the slots of a rank: neighbours, as many as the others have, or one more.

    Raises:
        ValueError: there are more ranks than slots.
    """
    if not 1 <= ranks <= batch:
        raise ValueError(
            f"distill.batch: expected at least one pair for each of the {ranks} workers, "
            f"which share each batch, got {batch}; give fewer workers or a larger batch"
        )
    return range(rank * batch // ranks, (rank + 1) * batch // ranks)


class _Line:
    """The line of one epoch: its shards, and at which pair of the line each begins.

    Slot b reads the pairs [b * steps, (b + 1) * steps), odd slots from the end: the shard in which
    two neighbours' pieces meet is so read by both at the same time.
    """

    def __init__(
        self, order: Order, epoch: int, shards: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> None:
        self.seed, self.epoch = order.seed, epoch
        self.sizes, self.steps = order.sizes, order.steps
        self.shards, self.offsets = shards, offsets
        starts = np.arange(order.batch, dtype=np.int64) * self.steps
        self.starts, self.stops = starts, starts + self.steps
        self.first = self._shard_at(starts)  # of each slot's piece, and its last
        self.last = self._shard_at(self.stops - 1)
        window = order._slot_window
        self.window = window
        # Slots pass on to their next windows one after the other, so that a reader never has to
        # fetch the shards of all of them at once.
        counts = self.last - self.first + 1
        staggered = window - np.arange(order.batch) * window // order.batch
        self.opening = np.where(counts <= window, counts, staggered)
        self.window_of = lru_cache(maxsize=2 * order.batch)(self._window)

    @classmethod
    def shuffled(cls, order: Order, epoch: int) -> _Line:
        """Put the shards that hold pairs in the epoch's order."""
        sizes = np.asarray(order.sizes, np.int64)
        random = _random(order.seed, epoch, "distill.order")
        shards = random.permutation(np.flatnonzero(sizes)).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes[shards])]).astype(np.int64)
        return cls(order, epoch, shards, offsets)

    def places(self, within: int, slots: range) -> NDArray[np.int64]:
        """Return (slots, 2) of shard and position: what the slots read at a step of the epoch."""
        chosen = np.arange(slots.start, slots.stop)
        backward = chosen % 2 == 1
        at = np.where(backward, self.stops[chosen] - 1 - within, self.starts[chosen] + within)
        shard = self._shard_at(at)
        # Of each slot's sequence of shards.
        number = np.where(backward, self.last[chosen] - shard, shard - self.first[chosen])
        windows = 1 + (number - self.opening[chosen]) // self.window
        windows = np.where(number < self.opening[chosen], 0, windows)
        found = np.empty((len(chosen), 2), np.int64)
        for row, (slot, window) in enumerate(zip(slots, windows.tolist(), strict=True)):
            start, pairs = self.window_of(slot, window)
            found[row] = pairs[within - start]
        return found

    def _shard_at(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self.offsets, at, side="right") - 1

    def _window(self, slot: int, window: int) -> tuple[int, NDArray[np.int64]]:
        """Return a window's first step, and its pairs as the slot reads them, (pairs, 2)."""
        first, last = int(self.first[slot]), int(self.last[slot])
        opening = int(self.opening[slot])
        low = opening + (window - 1) * self.window if window else 0
        high = min(opening + window * self.window, last - first + 1)
        backward = slot % 2 == 1
        shards = (
            range(last - high + 1, last - low + 1) if backward else range(first + low, first + high)
        )
        start, stop = int(self.starts[slot]), int(self.stops[slot])
        begin = max(start, int(self.offsets[shards.start]))
        end = min(stop, int(self.offsets[shards.stop]))
        pairs = np.concatenate([self._inside(shard, begin, end) for shard in shards])
        random = _random(self.seed, self.epoch, f"distill.order.{slot}.{window}")
        return (stop - end if backward else begin - start), random.permutation(pairs)

    def _inside(self, number: int, begin: int, end: int) -> NDArray[np.int64]:
        """Return a shard's pairs within a part of the line, (pairs, 2)."""
        shard, offset = int(self.shards[number]), int(self.offsets[number])
        size = self.sizes[shard]
        low, high = max(begin - offset, 0), min(end - offset, size)
        positions = np.arange(size)
        if high - low < size:
            # What is cut apart, or left out at the line's end, is cut elsewhere in each epoch.
            random = _random(self.seed, self.epoch, f"distill.order.shard.{shard}")
            positions = random.permutation(size)[low:high]
        return np.stack([np.full(len(positions), shard), positions], axis=1)


def _random(seed: int, epoch: int, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(stream_seed(seed, epoch, stream)))
