"""The peer MosaicML streaming: shards of its own format (MDS), pictures in its own encoding (PNG).

This project does not depend on it: docs/benchmarks.md is measured with it beside the project's
environment (infra/benchmarks/README.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.arrays import Pixels
from pipeline.pair import Pair
from pipeline.storage.store import Store


def write_mosaic(folder: Path, store: Store, pairs: Sequence[Pair], shard_bytes: int) -> None:
    """Write pairs as MDS shards of at most `shard_bytes`, by way of a local folder.

    Raises:
        ImportError: streaming is not installed.
    """
    from streaming import MDSWriter

    columns = {"image": "png", "sketch": "png"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=shard_bytes) as writer:
        for pair in pairs:
            image, sketch = Image.fromarray(pair.image), Image.fromarray(pair.sketch)
            writer.write({"image": image, "sketch": sketch})
    for path in sorted(folder.iterdir()):
        store.create(path.name, path.read_bytes())


def mosaic_batches(
    address: str, cache: Path, batch: int, workers: int
) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield one epoch of batches from a folder or an s3 address, by an empty cache.

    Raises:
        ImportError: streaming is not installed.
    """
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    # Its name for boto3's AWS_ENDPOINT_URL.
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        os.environ["S3_ENDPOINT_URL"] = endpoint
    clean_stale_shared_memory()
    dataset = StreamingDataset(
        remote=address, local=str(cache), shuffle=True, shuffle_seed=0, batch_size=batch
    )
    loader: Any = torch.utils.data.DataLoader(
        dataset, batch_size=batch, num_workers=workers, collate_fn=_collate
    )
    yield from loader


def _collate(rows: Sequence[dict[str, Any]]) -> tuple[Pixels, Pixels]:
    images = [np.asarray(row["image"]) for row in rows]
    sketches = [np.asarray(row["sketch"]) for row in rows]
    return np.stack(images), np.stack(sketches)
