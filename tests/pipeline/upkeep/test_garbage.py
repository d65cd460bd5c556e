"""Garbage: what runs left behind, once it is old; never people's own files."""

from __future__ import annotations

import time

from pipeline.dataset import layout
from pipeline.dataset.plan import read_plan
from pipeline.publishing.heartbeats import record_shard, worker_name
from pipeline.storage.local import LocalStore
from pipeline.upkeep.garbage import find_garbage, remove_garbage
from pipeline.upkeep.verify import verify

DAY_S = 24 * 3600.0


def test_garbage_is_old_and_of_no_use(store: LocalStore) -> None:
    plan, before = read_plan(store), store.keys("")
    assert find_garbage(store, plan, time.time() + 2 * DAY_S) == []
    (store.root / "shards" / ".00001.tar.12-0123456789abcdef.tmp").write_bytes(b"half")
    store.create("probe/1234", b"probe")
    store.create(layout.shard_key(77), b"of another plan")
    for name in ("notes.txt", ".gitattributes", "shards/.keep.tmp"):
        store.create(name, b"mine")
    assert find_garbage(store, plan, time.time()) == [], "it may belong to a live run"
    garbage = find_garbage(store, plan, time.time() + 2 * DAY_S)
    assert {entry.key for entry in garbage} == {
        "shards/.00001.tar.12-0123456789abcdef.tmp",
        "probe/1234",
        "shards/00077.tar",
    }
    remove_garbage(store, garbage)
    assert store.leftovers() == []
    assert store.keys("") == sorted([*before, "notes.txt", ".gitattributes", "shards/.keep.tmp"])


def test_heartbeats_are_garbage_but_no_strays(store: LocalStore) -> None:
    record_shard(store, worker_name(), 7)
    assert not verify(store, lambda *_, **__: None).findings
    garbage = find_garbage(store, read_plan(store), time.time() + 2 * DAY_S)
    assert [entry.key for entry in garbage] == store.keys(layout.WORKERS)
