"""Commit records: only those that fit the plan and their own shard are believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.accounting import read_account
from pipeline.dataset.commit import committed_shards, find_committed, parse_commit, read_commits
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import ShardError
from pipeline.storage.local import LocalStore
from tests.standins.published_blobs import publish_shards
from tests.standins.standin_teacher import make_plan


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def store(tmp_path: Path, plan: Plan) -> LocalStore:
    store = LocalStore(tmp_path / "dataset")
    publish_shards(store, plan)
    return store


def test_a_record_says_what_its_shard_consists_of(store: LocalStore) -> None:
    store.create("commits/notes.txt", b"mine")
    assert committed_shards(store) == [0, 1, 2]
    (commit,) = read_commits(store, [2])
    assert (commit.shard, commit.pairs, commit.quarantined) == (2, 6, ())
    assert commit.size_bytes == store.size("shards/00002.tar") + store.size("index/00002.parquet")
    assert commit.to_bytes() == store.read(layout.commit_key(2))


def test_shards_beyond_a_plan_are_not_looked_for(store: LocalStore) -> None:
    store.delete(layout.commit_key(0))
    assert find_committed(store, 2) == [1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b'"pairs": 8', b'"pairs": 7'),
        lambda data: data.replace(b'"plan_sha256": "', b'"plan_sha256": "0'),
        lambda data: data.replace(b"shards/00000.tar", b"shards/00001.tar"),
        lambda data: data.replace(b"index/00000.parquet", b"../../etc/passwd"),
        lambda data: data.replace(b'"shard": 0', b'"shard": 1'),
        lambda data: data.replace(b'"pairs": 8', b'"pairs": 7').replace(
            b'"quarantined": []', b'"quarantined": [12]'
        ),
        lambda data: data[:40],
    ],
    ids=["counts", "plan", "tar", "index", "shard", "quarantined", "cut"],
)
def test_records_that_do_not_fit_are_refused(
    store: LocalStore, plan: Plan, spoil: Callable[[bytes], bytes]
) -> None:
    name = layout.commit_key(0)
    data = store.read(name)
    store.delete(name)
    store.create(name, spoil(data))
    with pytest.raises(ShardError, match="commits/00000.json"):
        read_account(store, plan)


def test_a_record_that_is_broken_says_where(store: LocalStore) -> None:
    data = store.read(layout.commit_key(0))
    with pytest.raises(ShardError, match=r"^a is not a commit record \(Invalid JSON"):
        parse_commit(data[:40], "a")
    with pytest.raises(ShardError, match=r"^a is not a commit record \(tar\.size: "):
        parse_commit(data.replace(b'"size": ', b'"size": "x", "y": '), "a")
