"""Repair and a new run: a faulty dataset becomes again what it was, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.plan import read_plan
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.storage.local import LocalStore
from pipeline.storage.store import DamagedError
from pipeline.upkeep.repair import names_to_remove, remove_faulty
from pipeline.upkeep.verify import Finding, Kind, Verdict
from tests.pipeline.upkeep.damage import check, regenerate, rewrite
from tests.standins.hostile_shards import flipped
from tests.standins.published_blobs import hashes
from tests.standins.standin_teacher import StandinTeacher

TAR, INDEX, COMMIT = layout.shard_key(1), layout.index_key(1), layout.commit_key(1)


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        (TAR, flipped, Kind.CHANGED),
        (TAR, lambda data: data[:-10240], Kind.CHANGED),
        (TAR, None, Kind.MISSING),
        (INDEX, flipped, Kind.CHANGED),
        (INDEX, None, Kind.MISSING),
        (COMMIT, flipped, Kind.BROKEN),
        (COMMIT, lambda data: data.replace(b'"pairs": 8', b'"pairs": 9'), Kind.BROKEN),
        (COMMIT, None, Kind.UNFINISHED),
        (layout.MANIFEST, lambda data: data.replace(b"22", b"23"), Kind.CHANGED),
        (layout.MANIFEST, lambda data: data[:50], Kind.BROKEN),
        (layout.MANIFEST, None, Kind.UNFINISHED),
    ],
)
def test_every_fault_is_found_and_repaired(
    store: LocalStore, sound: Path, name: str, change: Callable[[bytes], bytes] | None, kind: Kind
) -> None:
    rewrite(store, name, change)
    faults = check(store).faults
    assert kind in {fault.kind for fault in faults}
    removed = remove_faulty(store, faults)
    assert removed[0] == layout.MANIFEST and layout.shard_key(0) not in removed
    assert (TAR in removed) == (name == TAR), "an intact tar stays: the rest is made from it"
    regenerate(store)
    assert check(store).findings == ()
    assert hashes(store.url) == hashes(str(sound))


def test_nothing_is_removed_without_a_fault(store: LocalStore) -> None:
    assert remove_faulty(store, check(store).findings) == []
    remark = Finding(Kind.BLANK, TAR, "blankness 1.00", 9)
    assert names_to_remove([remark]) == []


def test_what_was_published_last_is_removed_first() -> None:
    faults = [Finding(Kind.BROKEN, TAR, ""), Finding(Kind.MISSING, layout.index_key(0), "")]
    assert names_to_remove(faults) == [
        "manifest.json",
        "commits/00000.json",
        "commits/00001.json",
        "index/00000.parquet",
        "index/00001.parquet",
        "shards/00001.tar",
    ]


class RottenStore(LocalStore):
    """Finds one object's bytes to be other than those written, as S3Store does."""

    def read(self, key: str) -> bytes:
        data = super().read(key)
        if key == layout.MANIFEST and b"rotten" in data:
            raise DamagedError(f"{key}: other bytes than were written")
        return data


def test_a_rotten_manifest_is_repaired(store: LocalStore) -> None:
    before = store.read(layout.MANIFEST)
    rewrite(store, layout.MANIFEST, lambda data: b"rotten")
    rotten = RottenStore(store.root)
    (fault,) = check(rotten).faults
    assert (fault.kind, fault.name) == (Kind.BROKEN, layout.MANIFEST)
    remove_faulty(rotten, [fault])
    regenerate(store)
    assert store.read(layout.MANIFEST) == before


def test_a_sample_that_is_missing_without_a_reason_is_made_again(store: LocalStore) -> None:
    for name in (layout.MANIFEST, COMMIT, INDEX, TAR):
        store.delete(name)
    write_quarantine(store, Quarantine(index=9, shard=1, attempts=3, reason="crash"))
    maker = ShardMaker(read_plan(store), store, StandinTeacher)
    maker.sample(1, frozenset({9}), begun=False)
    maker.publish(1)
    complete(store, read_plan(store))
    assert check(store).findings == ()
    store.delete(layout.quarantine_key(9))
    (fault,) = check(store).faults
    assert (fault.kind, fault.name, fault.sample) == (Kind.MISSING, TAR, 9)
    remove_faulty(store, [fault])
    regenerate(store)
    assert check(store) == Verdict(pairs=22, shards=3, findings=())
