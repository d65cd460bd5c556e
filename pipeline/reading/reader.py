"""Batches of a published dataset for one rank of several: the same steps for any ranks or threads.

B: pairs of this rank, H, W: pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.reading.order import Order

AHEAD = 4  # batches being decoded while one is trained on

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Reader:
    """Steps of an order, cut over `ranks` equal parts of which this is number `rank`.

    `flip`: mirror half of the pairs, by (seed, epoch, pair). `threads` decode; decoders release
    Python's lock, so processes are not needed.
    """

    dataset: PublishedDataset
    order: Order
    flip: bool
    threads: int
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.order.batch % self.ranks:
            raise ValueError(
                f"distill.batch: expected a multiple of the {self.ranks} workers, "
                f"which share each batch, got {self.order.batch}"
            )

    def batches(self, start: int, stop: int) -> Iterator[tuple[Pixels, Pixels]]:
        """Images (B, H, W, 3) and sketches (B, H, W) of steps start <= step < stop.

        Raises RefusedError on the first step that needs a pair that cannot be trusted.
        """
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            waiting: deque[list[Future[tuple[Pixels, Pixels]]]] = deque()
            try:
                for step in range(start, min(start + AHEAD, stop)):
                    waiting.append(self._submit(pool, step))
                for step in range(start, stop):
                    if step + AHEAD < stop:
                        waiting.append(self._submit(pool, step + AHEAD))
                    yield _stacked([future.result() for future in waiting.popleft()])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, step: int) -> list[Future[tuple[Pixels, Pixels]]]:
        share = self.order.batch // self.ranks
        places = self.order.places(step)[self.rank * share : (self.rank + 1) * share]
        return [
            pool.submit(self._pair, step, int(shard), int(position)) for shard, position in places
        ]

    def _pair(self, step: int, shard: int, position: int) -> tuple[Pixels, Pixels]:
        image, sketch = self.dataset.pair(shard, position)
        if self.flip and self.order.is_flipped(step, (shard, position)):
            return image[:, ::-1], sketch[:, ::-1]
        return image, sketch


def _stacked(pairs: list[tuple[Pixels, Pixels]]) -> tuple[Pixels, Pixels]:
    sizes = {sketch.shape for _, sketch in pairs}
    if len(sizes) != 1:
        raise RefusedError(
            f"pictures of several sizes cannot share a batch: {sorted(sizes)} (height, width)"
        )
    images, sketches = zip(*pairs, strict=True)
    return np.stack(images), np.stack(sketches)
