"""The peer without any format: a folder, or a prefix of a bucket, of loose PNG files.

Read in the same order and batches as ours, with as many threads, as far ahead.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from pipeline.arrays import Pixels
from pipeline.images.write import png_bytes
from pipeline.pair import Pair
from pipeline.reading.order import Order
from pipeline.reading.reader import AHEAD
from pipeline.storage.store import Store


def write_loose_files(store: Store, pairs: Sequence[Pair]) -> None:
    """Write two PNG files a pair, with Pillow's defaults."""
    for pair in pairs:
        store.create(f"{pair.index:05d}.image.png", png_bytes(pair.image))
        store.create(f"{pair.index:05d}.sketch.png", png_bytes(pair.sketch))


def loose_batches(store: Store, order: Order, threads: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield images (B, H, W, 3) and sketches (B, H, W) of one epoch."""
    first = np.cumsum((0, *order.sizes))
    waiting: deque[list[Future[tuple[Pixels, Pixels]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for step in range(order.steps + AHEAD):
            if step < order.steps:
                indices = [int(first[shard]) + place for shard, place in order.places(step)]
                waiting.append([pool.submit(_loose_pair, store, index) for index in indices])
            if step >= AHEAD:
                images, sketches = zip(
                    *(future.result() for future in waiting.popleft()), strict=True
                )
                yield np.stack(images), np.stack(sketches)


def decoded(data: bytes) -> Pixels:
    """Decode one picture with Pillow."""
    return np.asarray(Image.open(io.BytesIO(data)))


def _loose_pair(store: Store, index: int) -> tuple[Pixels, Pixels]:
    image, sketch = (decoded(store.read(f"{index:05d}.{name}.png")) for name in ("image", "sketch"))
    return image, sketch
