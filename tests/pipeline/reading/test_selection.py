"""Selections: looked up once a node, kept with a hash, and never taken for another filter's."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.manifest import Manifest, read_hashed_manifest
from pipeline.filters import Filter, FilterError
from pipeline.reading.selection import Selection, select_samples
from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError
from tests.standins.published_blobs import write_dataset

WHERE = Filter("cdst_step >= 6 and cdst_step != 12")
EXPECTED = [[6, 7], [8, 9, 10, 11, 13, 14, 15], [16, 17, 18, 19]]


class CountingStore(LocalStore):
    """Counts what is read; each index takes one request."""

    reads: list[str]

    def read_range(self, key: str, start: int, length: int) -> bytes:
        self.reads.append(key)
        return super().read_range(key, start, length)

    def size(self, key: str) -> int:
        raise AssertionError("a second request for one small file")


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStore(Path(write_dataset(tmp_path / "dataset", samples=20)))
    object.__setattr__(store, "reads", [])
    return store


@pytest.fixture
def manifest(store: CountingStore) -> tuple[Manifest, str]:
    return read_hashed_manifest(store)


def lists(selection: Selection) -> list[list[int]]:
    return [selection.of(shard) for shard in range(len(selection.sizes))]


def test_samples_are_found_in_the_indices(
    store: CountingStore, manifest: tuple[Manifest, str]
) -> None:
    selection = select_samples(store, *manifest, WHERE, cache=None)
    assert lists(selection) == EXPECTED and selection.sizes == (2, 7, 4)
    assert sorted(store.reads) == [f"index/0000{shard}.parquet" for shard in range(3)]


def test_a_node_looks_once(
    store: CountingStore, manifest: tuple[Manifest, str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    found: list[Selection] = []

    def rank() -> None:
        found.append(select_samples(store, *manifest, WHERE, cache))

    ranks = [threading.Thread(target=rank) for _ in range(4)]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        thread.join()
    assert [lists(selection) for selection in found] == [EXPECTED] * 4
    assert len(store.reads) == 3


def test_another_filter_or_dataset_is_looked_up_anew(
    store: CountingStore, manifest: tuple[Manifest, str], tmp_path: Path
) -> None:
    content, sha256 = manifest
    for asked, where in ((sha256, WHERE), ("0" * 64, WHERE), (sha256, Filter("cdst_step > 1"))):
        select_samples(store, content, asked, where, tmp_path)
    assert len(store.reads) == 9 and len(list(tmp_path.glob("*.selection"))) == 3


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_what_was_damaged_on_the_disk_is_looked_up_again(
    store: CountingStore, manifest: tuple[Manifest, str], tmp_path: Path, damage: str
) -> None:
    select_samples(store, *manifest, WHERE, tmp_path)
    (kept,) = tmp_path.glob("*.selection")
    data = bytearray(kept.read_bytes())
    data[70] ^= 1
    kept.write_bytes({"flipped": bytes(data), "cut": data[:100], "empty": b""}[damage])
    assert lists(select_samples(store, *manifest, WHERE, tmp_path)) == EXPECTED
    assert len(store.reads) == 6
    assert lists(select_samples(store, *manifest, WHERE, tmp_path)) == EXPECTED
    assert len(store.reads) == 6


def test_what_fails_is_not_kept(
    store: CountingStore, manifest: tuple[Manifest, str], tmp_path: Path
) -> None:
    with pytest.raises(FilterError, match="matches none of the 20 pairs"):
        select_samples(store, *manifest, Filter("cdst_step > 99"), tmp_path)
    assert not list(tmp_path.glob("*.selection"))
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError, match="choose another cache"):
        select_samples(store, *manifest, WHERE, blocked / "cache")


def test_samples_of_a_shard_without_any() -> None:
    selection = Selection(np.array([0, 2, 2]), np.array([4, 5]))
    assert selection.sizes == (0, 2, 0) and lists(selection) == [[], [4, 5], []]
