"""Status: how far a dataset is, from its store alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.plan import read_plan
from pipeline.publishing.finish import complete
from pipeline.publishing.heartbeats import record_ready, record_shard
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError
from pipeline.upkeep.status import read_status


def test_a_run_on_its_way(store: LocalStore) -> None:
    for name in (layout.MANIFEST, layout.commit_key(2)):
        store.delete(name)
    for shard, made_s in ((0, 1000), (1, 1004)):
        os.utime(store.root / layout.commit_key(shard), (made_s, made_s))
    status = read_status(store, now_s=1010)
    assert (status.committed, status.planned, status.finished) == (16, 22, False)
    assert (status.shards_done, status.num_shards) == (2, 3)
    assert status.pairs_per_s == 2.0 and status.time_left_s == 3.0 and status.idle_s == 6.0


def test_workers_are_listed_until_the_dataset_is_finished(store: LocalStore) -> None:
    store.delete(layout.MANIFEST)
    record_ready(store, "node-a-1")
    record_shard(store, "node-b-2", 1)
    workers = {status.worker: status.shards for status in read_status(store, now_s=140).workers}
    assert workers == {"node-a-1": 0, "node-b-2": 1}
    complete(store, read_plan(store))
    assert read_status(store, now_s=140).workers == () == tuple(store.keys(layout.WORKERS))


def test_before_the_first_shard_and_after_the_last(store: LocalStore) -> None:
    status = read_status(store, time.time())
    assert status.finished and status.time_left_s == 0.0
    for shard in range(3):
        store.delete(layout.commit_key(shard))
    status = read_status(store, time.time())
    assert (status.committed, status.time_left_s, status.idle_s) == (0, None, 0.0)


def test_without_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(MissingKeyError, match="no dataset at"):
        read_status(LocalStore(tmp_path), 0.0)
