"""Publication: whatever happens between two steps, the shard ends up the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import Plan
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.publishing.publish import PublicationError, publish, recover
from pipeline.storage.local import LocalStore
from tests.standins.crashing_store import CrashError, CrashingStore
from tests.standins.published_blobs import encode_shard, hashes
from tests.standins.standin_teacher import make_plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("way", ["recover", "publish"])
def test_a_shard_survives_a_crash_between_any_two_steps(
    store: LocalStore, plan: Plan, tmp_path: Path, at: int, after: bool, way: str
) -> None:
    commit = publish(store, plan, 1, encode_shard(plan, 1)).commit
    broken = CrashingStore(tmp_path / "broken").arm(at, after)
    with pytest.raises(CrashError):
        publish(broken, plan, 1, encode_shard(plan, 1))
    rest = LocalStore(broken.root)
    if way == "recover" and (at, after) != (1, False):
        assert recover(rest, plan, 1) == commit
    else:
        assert recover(rest, plan, 1) in (None, commit)
        assert publish(rest, plan, 1, encode_shard(plan, 1)).commit == commit
    assert hashes(rest.url) == hashes(store.url)


def test_publishing_twice_changes_nothing(store: LocalStore, plan: Plan) -> None:
    first = publish(store, plan, 0, encode_shard(plan, 0)).commit
    before = hashes(store.url)
    again = publish(store, plan, 0, encode_shard(plan, 0))
    assert again.commit == first and not again.is_new
    assert hashes(store.url) == before


def test_another_writers_tar_is_adopted(store: LocalStore, plan: Plan) -> None:
    first = publish(store, plan, 0, encode_shard(plan, 0, side=16)).commit
    store.delete(layout.commit_key(0))
    again = publish(store, plan, 0, encode_shard(plan, 0))
    assert again.commit == first and again.is_new


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("shards/00000.tar", b"something else", "shards/00000.tar was there.*broken tar"),
        ("index/00000.parquet", b"something else", "index/00000.parquet was there.*broken index"),
        ("commits/00000.json", b"{}", "commits/00000.json was there"),
    ],
)
def test_files_that_do_not_belong_are_reported_and_stay(
    store: LocalStore, plan: Plan, name: str, content: bytes, words: str
) -> None:
    store.create(name, content)
    with pytest.raises(PublicationError, match=words):
        publish(store, plan, 0, encode_shard(plan, 0))
    assert store.read(name) == content


def test_samples_of_another_shard_are_reported(store: LocalStore, plan: Plan) -> None:
    publish(store, plan, 1, encode_shard(plan, 1))
    store.create(layout.shard_key(0), store.read(layout.shard_key(1)))
    with pytest.raises(PublicationError, match="sample 8, which the plan puts in another shard"):
        recover(store, plan, 0)


def test_a_commit_record_of_another_tar_is_reported(store: LocalStore, plan: Plan) -> None:
    publish(store, plan, 0, encode_shard(plan, 0))
    for name in (layout.shard_key(0), layout.index_key(0)):
        store.delete(name)
    with pytest.raises(PublicationError, match="describes another tar or index"):
        publish(store, plan, 0, encode_shard(plan, 0, side=16))


def test_a_missing_sample_needs_a_quarantine_record(store: LocalStore, plan: Plan) -> None:
    pairs = encode_shard(plan, 0, without=(5,))
    with pytest.raises(PublicationError, match="sample 5 is missing from it but not quarantined"):
        publish(store, plan, 0, pairs)
    assert committed_shards(store) == []
    write_quarantine(store, Quarantine(index=5, shard=0, attempts=3, reason="crash"))
    commit = publish(store, plan, 0, pairs).commit
    assert (commit.pairs, commit.quarantined) == (7, (5,))
