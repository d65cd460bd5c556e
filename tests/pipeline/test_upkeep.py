"""Status, garbage, export: from a dataset's store alone."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import layout
from pipeline.export import export
from pipeline.garbage import find_garbage, remove_garbage
from pipeline.manifest import ManifestError
from pipeline.plan import read_plan
from pipeline.shards import ShardError
from pipeline.status import take_status
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError
from tests.published_blobs import write_dataset
from tests.standin_teacher import StandinTeacher, make_plan

DAY_S = 24 * 3600.0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_dataset(tmp_path_factory.mktemp("sound") / "dataset"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> LocalStore:
    shutil.copytree(sound, tmp_path / "dataset")
    return LocalStore(tmp_path / "dataset")


def quiet(*_: object, **__: object) -> None:
    pass


def test_status_of_a_run_on_its_way(store: LocalStore) -> None:
    for name in (layout.MANIFEST, layout.commit_key(2)):
        store.delete(name)
    for shard, made_s in ((0, 1000), (1, 1004)):
        os.utime(store.root / layout.commit_key(shard), (made_s, made_s))
    status = take_status(store, now_s=1010)
    assert (status.committed, status.planned, status.finished) == (16, 22, False)
    assert (status.shards_done, status.num_shards) == (2, 3)
    assert status.pairs_per_s == 2.0 and status.time_left_s == 3.0 and status.idle_s == 6.0


def test_status_before_the_first_shard_and_after_the_last(store: LocalStore) -> None:
    assert take_status(store, time.time()).finished
    assert take_status(store, time.time()).time_left_s == 0.0
    for shard in range(3):
        store.delete(layout.commit_key(shard))
    status = take_status(store, time.time())
    assert (status.committed, status.time_left_s, status.idle_s) == (0, None, 0.0)


def test_status_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingKeyError, match="no dataset at"):
        take_status(LocalStore(tmp_path), 0.0)


def test_garbage_is_what_nobody_needs_and_old(store: LocalStore) -> None:
    plan, before = read_plan(store), store.keys("")
    assert find_garbage(store, plan, time.time() + 2 * DAY_S) == []
    (store.root / "shards" / ".00001.tar.12-ab.tmp").write_bytes(b"half")
    store.create("probe/1234", b"probe")
    store.create(layout.shard_key(77), b"of another plan")
    store.create("notes.txt", b"mine")
    assert find_garbage(store, plan, time.time()) == [], "they may be of a living run"
    found = find_garbage(store, plan, time.time() + 2 * DAY_S)
    assert {entry.key for entry in found} == {
        "shards/.00001.tar.12-ab.tmp",
        "probe/1234",
        "shards/00077.tar",
    }
    remove_garbage(store, found)
    assert store.keys("") == sorted([*before, "notes.txt"]) and store.leftovers() == []


def test_export_gives_the_same_pictures(store: LocalStore, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    assert export(store, folder, quiet) == 22
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    (pair,) = StandinTeacher().pairs([make_plan().spec(13)])
    row = lines[13]
    assert (row["index"], row["file_name"]) == (13, "images/000000013.webp")
    np.testing.assert_array_equal(np.asarray(Image.open(folder / row["file_name"])), pair.image)
    sketch = np.asarray(Image.open(folder / row["sketch_file_name"]))
    np.testing.assert_array_equal(sketch, pair.sketch)
    assert len(list(folder.glob("images/*"))) == len(list(folder.glob("sketches/*"))) == 22
    with pytest.raises(ValueError, match="not empty"):
        export(store, folder, quiet)


def test_export_opens_as_hugging_face_imagefolder(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    export(store, tmp_path / "export", quiet)
    rows = load_dataset(
        "imagefolder",
        data_dir=str(tmp_path / "export"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert len(rows) == 22
    row = rows[0]
    assert row["image"].size == row["sketch"].size == (32, 32)


def test_export_refuses_what_is_not_proven(store: LocalStore, tmp_path: Path) -> None:
    name = store.root / layout.shard_key(1)
    name.write_bytes(name.read_bytes()[:-10240])
    with pytest.raises(ShardError, match="shards/00001.tar has changed"):
        export(store, tmp_path / "export", quiet)
    assert not (tmp_path / "export" / "metadata.jsonl").exists()
    store.delete(layout.MANIFEST)
    with pytest.raises(ManifestError):
        export(store, tmp_path / "other", quiet)
