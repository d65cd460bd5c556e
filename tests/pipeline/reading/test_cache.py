"""Shards of a remote dataset in the local cache: fetched once, checked again, within a limit."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from pipeline.reading.cache import ShardCache
from pipeline.reading.dataset import PublishedDataset
from pipeline.storage.store import Store
from tests.standins.published_blobs import write_dataset

SHARD = "shards/00001.tar"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    return Path(write_dataset(folder, samples=20, shard_size=8))


def open_dataset(folder: Path) -> PublishedDataset:
    return PublishedDataset.open(str(folder), folder.parent / "cache")


class RemoteStore:
    """A store that is not a local folder and lists what is fetched."""

    url = "s3://bucket/blobs"

    def __init__(self, local: Store) -> None:
        self.local = local
        self.fetched: list[str] = []

    def size(self, key: str) -> int:
        return self.local.size(key)

    def read(self, key: str) -> bytes:
        self.fetched.append(key)
        return self.local.read(key)


def open_remote(local: PublishedDataset, cache: ShardCache) -> tuple[PublishedDataset, list[str]]:
    """Open a dataset as if it were remote; also return the list of what it fetches."""
    store = RemoteStore(local.store)
    dataset = PublishedDataset(cast(Store, store), local.manifest, local.sha256, cache)
    return dataset, store.fetched


def test_remote_shards_are_fetched_once_and_checked_again_from_the_cache(
    dataset: Path, tmp_path: Path
) -> None:
    local, cache = open_dataset(dataset), ShardCache(tmp_path / "kept")
    first, fetched = open_remote(local, cache)
    for position in range(8):
        np.testing.assert_array_equal(first.pair(1, position)[0], local.pair(1, position)[0])
    assert fetched == [SHARD]
    second, fetched = open_remote(local, cache)
    second.pair(1, 0)
    assert fetched == []
    (kept,) = cache.folder.glob("*.tar")
    kept.write_bytes(b"spoilt")
    third, fetched = open_remote(local, cache)
    np.testing.assert_array_equal(third.pair(1, 0)[0], local.pair(1, 0)[0])
    assert fetched == [SHARD]


def test_a_cache_with_a_limit_keeps_what_was_opened_last(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, cache = open_dataset(dataset), tmp_path / "kept"
    sizes = [record.tar.size for record in local.manifest.shards]
    monkeypatch.setattr("pipeline.reading.dataset._KEPT_SHARDS", 1)
    remote, fetched = open_remote(local, ShardCache(cache, sizes[0] + sizes[1]))
    for shard in (0, 1, 0, 2, 0):
        np.testing.assert_array_equal(remote.pair(shard, 1)[0], local.pair(shard, 1)[0])
        # Files' times are coarse, and which file is older must be visible.
        os.utime(cache / f"{local.manifest.shards[shard].tar.sha256}.tar")
        time.sleep(0.02)
    assert [name[7:12] for name in fetched] == ["00000", "00001", "00002"]
    kept = sum(path.stat().st_size for path in cache.glob("*.tar"))
    assert kept <= sizes[0] + sizes[1] and len(list(cache.glob("*.tar"))) == 2


def test_what_another_process_removed_from_the_cache_is_fetched_again(
    dataset: Path, tmp_path: Path
) -> None:
    local, cache = open_dataset(dataset), ShardCache(tmp_path / "kept")
    remote, fetched = open_remote(local, cache)
    remote.pair(1, 0)
    for path in cache.folder.glob("*.tar"):
        path.unlink()
    np.testing.assert_array_equal(remote.pair(1, 3)[0], local.pair(1, 3)[0])
    assert fetched == [SHARD, SHARD]


def test_a_cache_too_small_to_read_from_is_refused(dataset: Path, tmp_path: Path) -> None:
    local = open_dataset(dataset)
    remote, _ = open_remote(local, ShardCache(tmp_path, 1000))
    with pytest.raises(ValueError, match="for the 3 shards that are read at the same time or next"):
        remote.reserve(2)


def test_files_of_others_in_its_folder_stay(dataset: Path, tmp_path: Path) -> None:
    local = open_dataset(dataset)
    (tmp_path / "mine").mkdir()
    others = [tmp_path / "thesis.tar", tmp_path / "mine" / f"{'0' * 64}.tar"]
    for path in others:
        path.write_bytes(bytes(10**5))
        os.utime(path, (0, 0))
    cache = ShardCache(tmp_path, local.manifest.shards[0].tar.size)
    for shard in (0, 1):
        tar = local.manifest.shards[shard].tar
        cache.read(tar, functools.partial(local.store.read, tar.name))
    assert all(path.exists() for path in others)
    assert [path.stem for path in tmp_path.glob("*.tar") if path not in others] == [tar.sha256]
