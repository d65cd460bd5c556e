"""Datasets that `onesketch generate` has finished, for programs that train on them."""

from __future__ import annotations

from pathlib import Path

from pipeline.reading.dataset import PublishedDataset


def open_dataset(
    url: str, cache: str | Path | None = None, where: str = "", cache_bytes: int | None = None
) -> PublishedDataset:
    """Open a finished dataset; nothing of it is trusted before its hash is checked.

    Args:
        url: its folder, or s3://bucket/prefix with boto3's standard configuration.
        cache: folder for copies of shards that come from a store; None: they are kept in memory
            while they are read.
        where: a filter on the index's columns, such as "blankness < 0.5".
        cache_bytes: the most that the cache may take; None: the whole dataset.

    Raises:
        ValueError: there is no finished dataset, it contradicts itself, or the filter cannot be
            read.
        StorageError: the store fails.
    """
    return PublishedDataset.open(url, Path(cache) if cache else None, where, cache_bytes)
