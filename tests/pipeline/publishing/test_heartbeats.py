"""Heartbeats: what one listing tells of every worker."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.publishing.heartbeats import (
    WorkerStatus,
    is_heartbeat,
    read_heartbeats,
    record_ready,
    record_shard,
    recorded_run,
    remove_heartbeats,
    worker_name,
)
from pipeline.storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_each_workers_heartbeats_are_summed_up(store: LocalStore) -> None:
    record_ready(store, "node-a-1")
    for shard, worker in ((0, "node-a-1"), (1, "node-b-2"), (2, "node-a-1")):
        record_shard(store, worker, shard)
    for name, made_s in (("node-a-1.ready", 100), ("node-a-1.00000", 110), ("node-a-1.00002", 124)):
        os.utime(store.root / "workers" / name, (made_s, made_s))
    os.utime(store.root / "workers/node-b-2.00001", (130, 130))
    latest, first = read_heartbeats(store)
    assert first == WorkerStatus("node-a-1", 2, 100, 124) and first.seconds_per_shard == 12
    assert latest == WorkerStatus("node-b-2", 1, 130, 130)


def test_a_worker_without_a_shard_has_no_pace(store: LocalStore) -> None:
    record_ready(store, "node-a-1")
    (worker,) = read_heartbeats(store)
    assert (worker.shards, worker.seconds_per_shard) == (0, 0.0)


def test_only_heartbeats_are_removed(store: LocalStore) -> None:
    record_shard(store, worker_name(), 7)
    store.create("workers/notes.txt", b"mine")
    remove_heartbeats(store)
    assert store.keys("") == ["workers/notes.txt"] and read_heartbeats(store) == []


def test_a_workers_name_makes_the_name_of_a_heartbeat(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "gpu_7.example.org/" + "x" * 99)
    record_shard(store, worker_name(), 7)
    (name,) = store.keys(layout.WORKERS)
    assert is_heartbeat(name) and name.endswith(f"-{os.getpid()}.00007")
    assert name.startswith("workers/gpu-7-example-org-xxx")


def test_runs_at_the_same_time_have_ranks_of_their_own(store: LocalStore) -> None:
    with ExitStack() as runs:
        found = [runs.enter_context(recorded_run(store)) for _ in range(9)]
        assert found[0] == (0, 1)
        assert [number for _, number in found] == list(range(1, 10))
        assert all(0 <= rank < number for rank, number in found)
        assert read_heartbeats(store) == [], "a run is no worker"
        assert len(store.keys(layout.WORKERS)) == 9
    assert store.keys(layout.WORKERS) == []


def test_a_run_that_was_killed_counts_until_the_end(store: LocalStore) -> None:
    with recorded_run(store):
        (killed,) = store.keys(layout.WORKERS)
    store.create(killed, b"")
    with recorded_run(store) as (_, runs):
        assert runs == 2
    remove_heartbeats(store)
    assert store.keys(layout.WORKERS) == []
