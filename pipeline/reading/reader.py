"""Batches of a published dataset for one rank; ranks and threads do not change the steps.

Shapes: B pairs of this rank, H x W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.reading.checked_shard import PixelPair
from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.reading.order import Order

AHEAD = 4  # batches being decoded while one is trained on


@dataclass(frozen=True)
class Reader:
    """The steps of an order, of which rank `rank` of `ranks` reads its equal part.

    `flip` mirrors half of the pairs, by (seed, epoch, pair). `threads` is the number of decoding
    threads; decoders release Python's lock, so that no processes are needed.
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

    def batches(self, start: int, stop: int) -> Iterator[PixelPair]:
        """Yield images uint8 (B, H, W, 3) and sketches uint8 (B, H, W) of steps start to stop - 1.

        Raises:
            RefusedError: at the first step with a pair that is not what the manifest says.
        """
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            waiting: deque[list[Future[PixelPair]]] = deque()
            try:
                for step in range(start, min(start + AHEAD, stop)):
                    waiting.append(self._submit(pool, step))
                for step in range(start, stop):
                    if step + AHEAD < stop:
                        waiting.append(self._submit(pool, step + AHEAD))
                    yield _stacked([future.result() for future in waiting.popleft()])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, step: int) -> list[Future[PixelPair]]:
        share = self.order.batch // self.ranks
        places = self.order.places(step)[self.rank * share : (self.rank + 1) * share]
        return [
            pool.submit(self._pair, step, int(shard), int(position)) for shard, position in places
        ]

    def _pair(self, step: int, shard: int, position: int) -> PixelPair:
        image, sketch = self.dataset.pair(shard, position)
        if self.flip and self.order.is_flipped(step, (shard, position)):
            return image[:, ::-1], sketch[:, ::-1]
        return image, sketch


def _stacked(pairs: list[PixelPair]) -> PixelPair:
    sizes = {sketch.shape for _, sketch in pairs}
    if len(sizes) != 1:
        raise RefusedError(
            f"pictures of several sizes cannot share a batch: {sorted(sizes)} (height, width)"
        )
    images, sketches = zip(*pairs, strict=True)
    return np.stack(images), np.stack(sketches)
