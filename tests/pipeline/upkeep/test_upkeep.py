"""Status and garbage: from a dataset's store alone."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.plan import read_plan
from pipeline.publishing.finish import complete
from pipeline.publishing.heartbeats import (
    WorkerStatus,
    is_heartbeat,
    record_ready,
    record_shard,
    worker_name,
)
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError
from pipeline.upkeep.garbage import find_garbage, remove_garbage
from pipeline.upkeep.status import take_status
from pipeline.upkeep.verify import verify
from tests.standins.published_blobs import write_dataset

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


def test_status_tells_what_each_worker_did(store: LocalStore) -> None:
    store.delete(layout.MANIFEST)
    record_ready(store, "node-a-1")
    for shard, worker in ((0, "node-a-1"), (1, "node-b-2"), (2, "node-a-1")):
        record_shard(store, worker, shard)
    for name, made_s in (("node-a-1.ready", 100), ("node-a-1.00000", 110), ("node-a-1.00002", 124)):
        os.utime(store.root / "workers" / name, (made_s, made_s))
    os.utime(store.root / "workers/node-b-2.00001", (130, 130))
    second, first = take_status(store, now_s=140).workers
    assert first == WorkerStatus("node-a-1", 2, 100, 124) and first.seconds_per_shard == 12
    assert second == WorkerStatus("node-b-2", 1, 130, 130)
    complete(store, read_plan(store))
    assert take_status(store, now_s=140).workers == () == tuple(store.keys(layout.WORKERS))


def test_a_worker_s_name_is_one_of_a_note(store: LocalStore) -> None:
    record_shard(store, worker_name(), 7)
    (name,) = store.keys(layout.WORKERS)
    assert is_heartbeat(name) and str(os.getpid()) in name
    assert not verify(store, quiet).findings
    assert [e.key for e in find_garbage(store, read_plan(store), time.time() + 2 * DAY_S)] == [name]


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
    (store.root / "shards" / ".00001.tar.12-0123456789abcdef.tmp").write_bytes(b"half")
    store.create("probe/1234", b"probe")
    store.create(layout.shard_key(77), b"of another plan")
    for name in ("notes.txt", ".gitattributes", "shards/.keep.tmp"):
        store.create(name, b"mine")
    assert find_garbage(store, plan, time.time()) == [], "they may be of a living run"
    found = find_garbage(store, plan, time.time() + 2 * DAY_S)
    assert {entry.key for entry in found} == {
        "shards/.00001.tar.12-0123456789abcdef.tmp",
        "probe/1234",
        "shards/00077.tar",
    }
    remove_garbage(store, found)
    assert (
        store.keys("") == sorted([*before, "notes.txt", ".gitattributes", "shards/.keep.tmp"])
        and store.leftovers() == []
    )
