"""Peers that open our own shards with tools that others have: webdataset and HF datasets.

Both shuffle shards and then a buffer of samples, and decode in worker processes of torch's
DataLoader. What is in S3 they open by HTTP, at addresses that are signed for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import webdataset as wds

from pipeline.arrays import Pixels
from pipeline.dataset import layout

# A buffer as large as what our reader shuffles together would hold the whole dataset here.
_BUFFER = 1000


def webdataset_batches(
    urls: Sequence[str], batch: int, workers: int
) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield one epoch of batches from webdataset."""
    pairs = (
        wds.WebDataset(list(urls), shardshuffle=len(urls), empty_check=False)
        .shuffle(_BUFFER)
        .decode("rgb8", handler=wds.reraise_exception)
        .to_tuple(layout.IMAGE_SUFFIX, layout.SKETCH_SUFFIX)
        .map(lambda pair: (pair[0], _one_channel(pair[1])))
        .batched(batch)
    )
    loader = wds.WebLoader(pairs, batch_size=None, num_workers=workers)
    for images, sketches in loader:
        yield np.asarray(images), np.asarray(sketches)


def hugging_face_batches(
    urls: Sequence[str], batch: int, workers: int
) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield one epoch of batches from HF datasets, streamed.

    Raises:
        ImportError: datasets is not installed.
    """
    from datasets import load_dataset

    stream = load_dataset(
        "webdataset", data_files={"train": list(urls)}, split="train", streaming=True
    )
    stream = stream.shuffle(seed=0, buffer_size=_BUFFER)
    loader: Any = torch.utils.data.DataLoader(
        stream, batch_size=batch, num_workers=workers, collate_fn=_collate
    )
    yield from loader


def _collate(rows: Sequence[dict[str, Any]]) -> tuple[Pixels, Pixels]:
    images = [np.asarray(row[layout.IMAGE_SUFFIX]) for row in rows]
    sketches = [np.asarray(row[layout.SKETCH_SUFFIX]) for row in rows]
    return np.stack(images), np.stack(sketches)


def _one_channel(picture: Pixels) -> Pixels:
    """Undo "rgb8", which makes three channels of any picture."""
    return picture[..., 0]
