"""Removing a dataset: all of it, nothing else, and in an order that can be interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.storage.local import LocalStore
from pipeline.upkeep.removal import dataset_entries, remove_dataset
from tests.standins.published_blobs import write_dataset


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(Path(write_dataset(tmp_path / "dataset")))


def test_its_own_objects_go_and_others_stay(store: LocalStore) -> None:
    for mine in ("notes.txt", "shards-of-mine.txt", "pictures/a.png"):
        store.create(mine, b"a person's")
    whole = [entry.key for entry in dataset_entries(store)]
    assert (whole[0], whole[-1]) == (layout.MANIFEST, layout.PLAN)
    remove_dataset(store)
    assert store.keys("") == ["notes.txt", "pictures/a.png", "shards-of-mine.txt"]
    assert dataset_entries(store) == []
    remove_dataset(store)


@pytest.mark.parametrize("interrupted_at", [1, 3, 5, 8])
def test_an_interrupted_removal_leaves_what_can_be_resumed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, interrupted_at: int
) -> None:
    deleted: list[str] = []
    delete = LocalStore.delete

    def stop(self: LocalStore, key: str) -> None:
        if len(deleted) == interrupted_at:
            raise KeyboardInterrupt
        deleted.append(key)
        delete(self, key)

    monkeypatch.setattr(LocalStore, "delete", stop)
    with pytest.raises(KeyboardInterrupt):
        remove_dataset(store)
    keys = store.keys("")
    assert layout.PLAN in keys and layout.MANIFEST not in keys
    shards = {key for key in keys if key.startswith(layout.SHARDS)}
    for key in keys:
        shard = layout.committed_shard(key)
        assert shard is None or layout.shard_key(shard) in shards, "no commit without its shard"
