"""The end of a dataset: a manifest with exact counts, written last and only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.accounting import IncompleteError
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.manifest import ManifestError, read_manifest
from pipeline.dataset.plan import Plan, write_or_check
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.storage.local import LocalStore
from pipeline.upkeep.verify import verify
from tests.standins.crashing_store import CrashError, CrashingStore
from tests.standins.published_blobs import encode_shard, hashes, publish_shards
from tests.standins.standin_teacher import make_plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


@pytest.fixture
def plan() -> Plan:
    return make_plan()


def test_a_dataset_is_finished_when_every_sample_is_accounted_for(
    store: LocalStore, plan: Plan
) -> None:
    write_or_check(store, plan)
    for shard in (0, 2):
        publish(store, plan, shard, encode_shard(plan, shard))
    with pytest.raises(IncompleteError, match="22 samples planned, 14 committed, 0 quarantined"):
        complete(store, plan)
    assert not store.exists(layout.MANIFEST) and not store.exists(layout.CARD)

    write_quarantine(store, Quarantine(index=9, shard=1, attempts=3, reason="crash"))
    publish(store, plan, 1, encode_shard(plan, 1, without=(9,)))
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
    before = hashes(store.url)
    complete(store, plan)
    assert hashes(store.url) == before


def test_the_manifest_is_written_last(store: LocalStore, plan: Plan) -> None:
    publish_shards(store, plan)
    crashing = CrashingStore(store.root).arm(3, after=False)
    with pytest.raises(CrashError):
        complete(crashing, plan)
    assert not store.exists(layout.MANIFEST) and store.exists(layout.CARD)
    complete(store, plan)
    assert store.exists(layout.MANIFEST)


def test_another_manifest_is_not_replaced(store: LocalStore, plan: Plan) -> None:
    publish_shards(store, plan)
    store.create(layout.MANIFEST, b"{}")
    with pytest.raises(ManifestError, match="does not fit the commit records"):
        complete(store, plan)
    assert store.read(layout.MANIFEST) == b"{}"


class LaggingStore(LocalStore):
    """Has a shard's commit record but does not list it."""

    def keys(self, prefix: str) -> list[str]:
        return [key for key in super().keys(prefix) if key != layout.commit_key(1)]


def test_a_listing_that_lags_behind_hides_no_shard(store: LocalStore, plan: Plan) -> None:
    publish_shards(store, plan)
    lagging = LaggingStore(store.root)
    assert committed_shards(lagging) == [0, 2]
    assert complete(lagging, plan).committed == 22
    assert len(read_manifest(store).shards) == 3
    assert verify(lagging, lambda *_, **__: None).faults == ()
