"""Batches of a published dataset for one rank; ranks and threads do not change the steps.

Shapes: B pairs of this rank, H x W pixels.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.reading.checked_shard import PixelPair
from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.reading.order import Order, slots_of
from pipeline.reading.union import PublishedUnion

AHEAD = 4  # batches being decoded while one is trained on
# Shards are fetched and checked this many batches before the first pair of theirs is needed.
FETCH_AHEAD = 32
_FETCHERS = 2


@dataclass(frozen=True)
class Reader:
    """The steps of an order, of which rank `rank` of `ranks` reads its slots.

    `flip` mirrors half of the pairs, by (seed, epoch, pair). `threads` is the number of decoding
    threads; decoders release Python's lock, so that no processes are needed.

    Raises:
        ValueError: there are more ranks than slots, or the dataset's cache is too small.
    """

    dataset: PublishedDataset | PublishedUnion
    order: Order
    flip: bool
    threads: int
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        self.dataset.reserve(self.order.shards_in_use(len(self.slots)))

    @property
    def slots(self) -> range:
        """The slots of each batch that this rank reads."""
        return slots_of(self.rank, self.ranks, self.order.batch)

    def batches(self, start: int, stop: int) -> Iterator[PixelPair]:
        """Yield images uint8 (B, H, W, 3) and sketches uint8 (B, H, W) of steps start to stop - 1.

        Raises:
            RefusedError: at the first step with a pair that is not what the manifest says.
        """
        with ExitStack() as stack:
            decoders, fetchers = (
                stack.enter_context(_Pool(threads, thread_name_prefix=name))
                for threads, name in ((self.threads, "decode"), (_FETCHERS, "fetch"))
            )
            steps = deque(range(start, stop))
            ahead = _Fetches(self.dataset, fetchers, self.order.shards_in_use(len(self.slots)))
            planned: deque[tuple[int, NDArray[np.int64]]] = deque()
            decoding: deque[list[Future[PixelPair]]] = deque()
            while steps or planned or decoding:
                while steps and (len(planned) + len(decoding) <= AHEAD or ahead.has_room):
                    step = steps.popleft()
                    planned.append((step, self.order.places(step, self.slots)))
                    ahead.fetch(planned[-1][1])
                while planned and len(decoding) <= AHEAD:
                    decoding.append(self._decode(decoders, *planned.popleft()))
                yield _stacked([future.result() for future in decoding.popleft()])
                ahead.step_done()

    def _decode(
        self, pool: ThreadPoolExecutor, step: int, places: NDArray[np.int64]
    ) -> list[Future[PixelPair]]:
        return [pool.submit(self._pair, step, shard, at) for shard, at in places.tolist()]

    def _pair(self, step: int, shard: int, position: int) -> PixelPair:
        image, sketch = self.dataset.pair(shard, position)
        if self.flip and self.order.is_flipped(step, (shard, position)):
            return image[:, ::-1], sketch[:, ::-1]
        return image, sketch


class _Pool(ThreadPoolExecutor):
    """Threads whose tasks nobody waits for when the reader is left."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(wait=False, cancel_futures=True)


class _Fetches:
    """Shards of the steps ahead, each asked for once for as long as it is in sight.

    No more than `most` are in sight beyond what must be: the cache has room for as many again.
    """

    def __init__(
        self, dataset: PublishedDataset | PublishedUnion, pool: ThreadPoolExecutor, most: int
    ) -> None:
        self.dataset, self.pool, self.most = dataset, pool, most
        self.steps: deque[set[int]] = deque()
        self.in_sight: Counter[int] = Counter()

    @property
    def has_room(self) -> bool:
        """Whether one more step can be looked at."""
        return len(self.steps) < FETCH_AHEAD and len(self.in_sight) < self.most

    def fetch(self, places: NDArray[np.int64]) -> None:
        """Fetch the shards of the next step ahead, (slots, 2)."""
        shards = set(places[:, 0].tolist())
        # What cannot be fetched is reported when one of its pairs is read.
        for shard in shards - self.in_sight.keys():
            self.pool.submit(self.dataset.prefetch, shard)
        self.steps.append(shards)
        self.in_sight.update(shards)

    def step_done(self) -> None:
        """Forget the first of the steps in sight."""
        self.in_sight.subtract(self.steps.popleft())
        self.in_sight += Counter()  # drops those that no step needs


def _stacked(pairs: list[PixelPair]) -> PixelPair:
    sizes = {sketch.shape for _, sketch in pairs}
    if len(sizes) != 1:
        raise RefusedError(
            f"pictures of several sizes cannot share a batch: {sorted(sizes)} (height, width)"
        )
    images, sketches = zip(*pairs, strict=True)
    return np.stack(images), np.stack(sketches)
