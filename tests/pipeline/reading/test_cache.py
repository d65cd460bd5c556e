"""Shards of a far dataset in the local cache: fetched once, checked again, within a limit."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.reading.cache import ShardCache
from pipeline.reading.dataset import PublishedDataset
from tests.standins.published_blobs import write_dataset

SHARD = "shards/00001.tar"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    return Path(write_dataset(folder, samples=20, shard_size=8))


def open_dataset(folder):
    return PublishedDataset.open(str(folder), folder.parent / "cache")


class Far:
    """A store that is not a local folder, and counts what is fetched."""

    def __init__(self, near):
        self.near = near
        self.fetched = []

    url = "s3://bucket/blobs"

    def size(self, key):
        return self.near.size(key)

    def read(self, key):
        self.fetched.append(key)
        return self.near.read(key)


def test_far_shards_are_fetched_once_and_checked_again_from_the_cache(dataset, tmp_path):
    near, cache = open_dataset(dataset), tmp_path / "kept"

    def open_far():
        return PublishedDataset(Far(near.store), near.manifest, near.sha256, ShardCache(cache))

    first = open_far()
    for position in range(8):
        np.testing.assert_array_equal(first.pair(1, position)[0], near.pair(1, position)[0])
    assert first.store.fetched == [SHARD]
    again = open_far()
    again.pair(1, 0)
    assert again.store.fetched == []
    (kept,) = cache.glob("*.tar")
    kept.write_bytes(b"spoilt")
    third = open_far()
    np.testing.assert_array_equal(third.pair(1, 0)[0], near.pair(1, 0)[0])
    assert third.store.fetched == [SHARD]


def test_a_cache_with_a_limit_keeps_what_was_opened_last(dataset, tmp_path, monkeypatch):
    near, cache = open_dataset(dataset), tmp_path / "kept"
    sizes = [record.tar.size for record in near.manifest.shards]
    monkeypatch.setattr("pipeline.reading.dataset._KEPT_SHARDS", 1)
    monkeypatch.setattr("pipeline.reading.dataset.WINDOW_SHARDS", 1)
    limited = ShardCache(cache, sizes[0] + sizes[1])
    far = PublishedDataset(Far(near.store), near.manifest, near.sha256, limited)
    for shard in (0, 1, 0, 2, 0):
        np.testing.assert_array_equal(far.pair(shard, 1)[0], near.pair(shard, 1)[0])
        # Files' times have a grain: which one is older must be seen.
        os.utime(cache / f"{near.manifest.shards[shard].tar.sha256}.tar")
        time.sleep(0.02)
    assert [name[7:12] for name in far.store.fetched] == ["00000", "00001", "00002"]
    kept = sum(path.stat().st_size for path in cache.glob("*.tar"))
    assert kept <= sizes[0] + sizes[1] and len(list(cache.glob("*.tar"))) == 2


def test_what_another_process_took_from_the_cache_is_fetched_again(dataset, tmp_path):
    near, cache = open_dataset(dataset), tmp_path / "kept"
    far = PublishedDataset(Far(near.store), near.manifest, near.sha256, ShardCache(cache))
    far.pair(1, 0)
    for path in cache.glob("*.tar"):
        path.unlink()
    np.testing.assert_array_equal(far.pair(1, 3)[0], near.pair(1, 3)[0])
    assert far.store.fetched == [SHARD, SHARD]


def test_a_cache_too_small_to_read_from_is_refused(dataset, tmp_path):
    near = open_dataset(dataset)
    with pytest.raises(ValueError, match="for the 3 shards that are shuffled together"):
        PublishedDataset(Far(near.store), near.manifest, near.sha256, ShardCache(tmp_path, 1000))


def test_files_of_others_in_its_folder_stay(dataset, tmp_path):
    near = open_dataset(dataset)
    (tmp_path / "mine").mkdir()
    others = [tmp_path / "thesis.tar", tmp_path / "mine" / f"{'0' * 64}.tar"]
    for path in others:
        path.write_bytes(bytes(10**5))
        os.utime(path, (0, 0))
    cache = ShardCache(tmp_path, near.manifest.shards[0].tar.size)
    for shard in (0, 1):
        tar = near.manifest.shards[shard].tar
        cache.whole(tar, lambda tar=tar: near.store.read(tar.name))
    assert all(path.exists() for path in others)
    assert [path.stem for path in tmp_path.glob("*.tar") if path not in others] == [tar.sha256]
