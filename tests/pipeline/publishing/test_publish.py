"""Publication: whatever happens between two steps, the dataset ends up the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.accounting import IncompleteError, take_account
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.encode import EncodedPair, encode
from pipeline.dataset.manifest import ManifestError, read_manifest
from pipeline.dataset.plan import Plan, write_or_check
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.dataset.tar import ShardError
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import PublicationError, publish, recover
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Created
from pipeline.upkeep.verify import verify
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


@pytest.fixture
def plan() -> Plan:
    return make_plan()


def made(plan: Plan, shard: int, without: tuple[int, ...] = ()) -> list[EncodedPair]:
    indices = [index for index in plan.indices(shard) if index not in without]
    return [encode(pair) for pair in StandinTeacher().pairs([plan.spec(i) for i in indices])]


def contents(store: LocalStore) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.keys("")}


class CrashError(Exception):
    pass


class CrashingStore(LocalStore):
    """Crashes at the n-th creation, before or after it."""

    def arm(self, at: int, after: bool) -> CrashingStore:
        object.__setattr__(self, "state", [at, after])
        return self

    def create(self, key: str, data: bytes) -> Created:
        state: list[int] = vars(self)["state"]
        state[0] -= 1
        if state[0] == 0 and not state[1]:
            raise CrashError
        result = super().create(key, data)
        if state[0] == 0:
            raise CrashError
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("way", ["recover", "publish"])
def test_a_crash_between_any_two_steps_is_mended(
    store: LocalStore, plan: Plan, tmp_path: Path, at: int, after: bool, way: str
) -> None:
    commit = publish(store, plan, 1, made(plan, 1))
    broken = CrashingStore(tmp_path / "broken").arm(at, after)
    with pytest.raises(CrashError):
        publish(broken, plan, 1, made(plan, 1))
    rest = LocalStore(broken.root)
    if way == "recover" and (at, after) != (1, False):
        assert recover(rest, plan, 1) == commit
    else:
        assert recover(rest, plan, 1) in (None, commit)
        assert publish(rest, plan, 1, made(plan, 1)) == commit
    assert contents(rest) == contents(store)


def test_publishing_twice_changes_nothing(store: LocalStore, plan: Plan) -> None:
    first = publish(store, plan, 0, made(plan, 0))
    before = contents(store)
    assert publish(store, plan, 0, made(plan, 0)) == first and contents(store) == before


def test_another_writers_tar_is_adopted(store: LocalStore, plan: Plan) -> None:
    theirs = [
        encode(pair)
        for pair in StandinTeacher(image_size=16).pairs([plan.spec(i) for i in plan.indices(0)])
    ]
    first = publish(store, plan, 0, theirs)
    store.delete(layout.commit_key(0))
    assert publish(store, plan, 0, made(plan, 0)) == first


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("shards/00000.tar", b"something else", "shards/00000.tar was there.*broken tar"),
        ("index/00000.parquet", b"something else", "index/00000.parquet was there.*broken index"),
        ("commits/00000.json", b"{}", "commits/00000.json was there"),
    ],
)
def test_what_does_not_belong_is_reported_and_stays(
    store: LocalStore, plan: Plan, name: str, content: bytes, words: str
) -> None:
    store.create(name, content)
    with pytest.raises(PublicationError, match=words):
        publish(store, plan, 0, made(plan, 0))
    assert store.read(name) == content


def test_a_strangers_samples_are_reported(store: LocalStore, plan: Plan) -> None:
    publish(store, plan, 1, made(plan, 1))
    store.create(layout.shard_key(0), store.read(layout.shard_key(1)))
    with pytest.raises(PublicationError, match="sample 8, which the plan puts elsewhere"):
        recover(store, plan, 0)


def test_a_missing_sample_needs_a_quarantine_record(store: LocalStore, plan: Plan) -> None:
    with pytest.raises(PublicationError, match="lacks sample 5, which is not quarantined"):
        publish(store, plan, 0, made(plan, 0, without=(5,)))
    assert committed_shards(store) == []
    write_quarantine(store, Quarantine(index=5, shard=0, attempts=3, reason="crash"))
    commit = publish(store, plan, 0, made(plan, 0, without=(5,)))
    assert (commit.pairs, commit.quarantined) == (7, (5,))


def test_accounting_and_manifest(store: LocalStore, plan: Plan) -> None:
    write_or_check(store, plan)
    publish(store, plan, 0, made(plan, 0))
    publish(store, plan, 2, made(plan, 2))
    account = take_account(store, plan)
    assert (account.committed, account.missing_shards, account.complete) == (14, (1,), False)
    with pytest.raises(IncompleteError, match="22 samples planned, 14 committed, 0 quarantined"):
        complete(store, plan)
    assert not store.exists(layout.MANIFEST) and not store.exists(layout.CARD)

    write_quarantine(store, Quarantine(index=9, shard=1, attempts=3, reason="crash"))
    publish(store, plan, 1, made(plan, 1, without=(9,)))
    assert complete(store, plan).complete
    manifest = read_manifest(store)
    counts = manifest.counts
    assert (counts.planned, counts.committed, counts.quarantined) == (22, 21, 1)
    assert [(shard.first, shard.last, shard.pairs) for shard in manifest.shards] == [
        (0, 7, 8),
        (8, 15, 7),
        (16, 21, 6),
    ]
    assert manifest.quarantined == (9,)
    assert counts.size == sum(store.size(shard.tar.name) for shard in manifest.shards)
    before = contents(store)
    complete(store, plan)
    assert contents(store) == before


def test_the_manifest_is_written_last(store: LocalStore, plan: Plan, tmp_path: Path) -> None:
    fill(store, plan)
    crashing = CrashingStore(store.root).arm(3, after=False)
    with pytest.raises(CrashError):
        complete(crashing, plan)
    assert not store.exists(layout.MANIFEST) and store.exists(layout.CARD)
    complete(store, plan)
    assert store.exists(layout.MANIFEST)


class LaggingStore(LocalStore):
    """Has a shard's commit record but does not list it."""

    def keys(self, prefix: str) -> list[str]:
        return [key for key in super().keys(prefix) if key != layout.commit_key(1)]


def test_a_listing_that_lags_behind_hides_no_shard(store: LocalStore, plan: Plan) -> None:
    fill(store, plan)
    lagging = LaggingStore(store.root)
    assert committed_shards(lagging) == [0, 2]
    assert complete(lagging, plan).committed == 22
    assert len(read_manifest(store).shards) == 3
    assert verify(lagging, lambda *_, **__: None).faults == ()


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
def test_commit_records_that_do_not_fit_are_refused(
    store: LocalStore, plan: Plan, spoil: Callable[[bytes], bytes]
) -> None:
    fill(store, plan)
    name = layout.commit_key(0)
    data = store.read(name)
    store.delete(name)
    store.create(name, spoil(data))
    with pytest.raises(ShardError, match="commits/00000.json"):
        complete(store, plan)


def test_manifests_that_are_missing_broken_or_old(store: LocalStore, plan: Plan) -> None:
    with pytest.raises(ManifestError, match="has no manifest.json"):
        read_manifest(store)
    fill(store, plan)
    store.create(layout.MANIFEST, b"{")
    with pytest.raises(ManifestError, match=r"another format \(Invalid JSON: "):
        read_manifest(store)
    store.delete(layout.MANIFEST)
    store.create(layout.MANIFEST, b"{}")
    with pytest.raises(ManifestError, match=r"broken or of another format \(style: "):
        read_manifest(store)
    with pytest.raises(ManifestError, match="does not fit the commit records"):
        complete(store, plan)


def fill(store: LocalStore, plan: Plan) -> None:
    write_or_check(store, plan)
    for shard in range(plan.num_shards):
        publish(store, plan, shard, made(plan, shard))
