"""Verification finds each fault, repair and a new run recover it byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.encode import EncodedPair, encode
from pipeline.dataset.plan import read_plan, write_or_check
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.storage.local import LocalStore
from pipeline.storage.store import DamagedError
from pipeline.upkeep.repair import remove_faulty
from pipeline.upkeep.verify import Kind, Verdict, verify
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan

TAR, INDEX, COMMIT = layout.shard_key(1), layout.index_key(1), layout.commit_key(1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_dataset(tmp_path_factory.mktemp("sound") / "dataset"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> LocalStore:
    shutil.copytree(sound, tmp_path / "dataset")
    return LocalStore(tmp_path / "dataset")


def check(store: LocalStore) -> Verdict:
    return verify(store, lambda *_, **__: None)


def rewrite(store: LocalStore, name: str, change: Callable[[bytes], bytes]) -> None:
    path = store.root / name
    path.write_bytes(change(path.read_bytes()))


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def regenerate(store: LocalStore) -> None:
    plan = read_plan(store)
    maker = ShardMaker(plan, store, StandinTeacher)
    for shard in range(plan.num_shards):
        maker.sample(shard, frozenset(), begun=True)
        maker.publish(shard)
    complete(store, plan)


def test_a_sound_dataset(store: LocalStore) -> None:
    assert check(store) == Verdict(pairs=22, shards=3, findings=())


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        (TAR, flip, Kind.CHANGED),
        (TAR, lambda data: data[:-10240], Kind.CHANGED),
        (TAR, None, Kind.MISSING),
        (INDEX, flip, Kind.CHANGED),
        (INDEX, None, Kind.MISSING),
        (COMMIT, flip, Kind.BROKEN),
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
    if change is None:
        store.delete(name)
    else:
        rewrite(store, name, change)
    faults = check(store).faults
    assert kind in {fault.kind for fault in faults}
    removed = remove_faulty(store, faults)
    assert removed[0] == layout.MANIFEST and layout.shard_key(0) not in removed
    assert (TAR in removed) == (name == TAR), "a sound tar stays: the rest is made from it"
    regenerate(store)
    assert check(store).findings == ()
    for key in LocalStore(sound).keys(""):
        assert store.read(key) == LocalStore(sound).read(key)


def test_no_fault_no_repair(store: LocalStore) -> None:
    assert remove_faulty(store, check(store).findings) == []


def test_a_lie_told_consistently_is_found(tmp_path: Path) -> None:
    """Hashes agree, but the metadata in the shard are not those of its pictures."""
    store, plan = LocalStore(tmp_path / "dataset"), make_plan(8)
    write_or_check(store, plan)
    pairs = [encode(p) for p in StandinTeacher().pairs([plan.spec(i) for i in range(8)])]
    liar, broken = pairs[2], pairs[5]
    metadata = liar.metadata.replace(b'"blankness":', b'"blankness":0.123,"was":')
    pairs[2] = EncodedPair(2, liar.image, liar.sketch, metadata)
    pairs[5] = EncodedPair(5, broken.image[:-30], broken.sketch, broken.metadata)
    publish(store, plan, 0, pairs)
    found = {(fault.sample, fault.kind, fault.detail[:20]) for fault in check(store).faults}
    assert (2, Kind.BROKEN, "blankness are not th") in found
    assert (5, Kind.BROKEN, "no sound WEBP pictur") in found


def test_remarks_are_no_faults(tmp_path: Path) -> None:
    class Forgetful(StandinTeacher):
        def pairs(self, specs):  # type: ignore[no-untyped-def]
            made = super().pairs(specs)
            for pair in made:
                if pair.index == 3:
                    pair.sketch[:] = 255
                if pair.index in (5, 6):
                    pair.image[:] = made[0].image
                if pair.index == 6:
                    pair.image[0, 0] ^= 1
            return made

    store, plan = LocalStore(tmp_path / "dataset"), make_plan(8, batch=8)
    write_or_check(store, plan)
    maker = ShardMaker(plan, store, Forgetful)
    maker.sample(0, frozenset(), begun=False)
    maker.publish(0)
    complete(store, plan)
    store.create("notes.txt", b"mine")
    verdict = check(store)
    assert verdict.faults == ()
    assert {(finding.kind, finding.sample) for finding in verdict.findings} == {
        (Kind.BLANK, 3),
        (Kind.DUPLICATE, 5),
        (Kind.NEAR_DUPLICATE, 6),
        (Kind.STRAY, None),
    }


class RottenStore(LocalStore):
    """Finds one object's bytes to be other than those written, as S3Store does."""

    def read(self, key: str) -> bytes:
        data = super().read(key)
        if key == layout.MANIFEST and b"rotten" in data:
            raise DamagedError(f"{key}: other bytes than were written")
        return data


def test_a_rotten_manifest_is_a_fault_that_repair_mends(store: LocalStore) -> None:
    before = store.read(layout.MANIFEST)
    rewrite(store, layout.MANIFEST, lambda data: b"rotten")
    rotten = RottenStore(store.root)
    (fault,) = verify(rotten, lambda *_, **__: None).faults
    assert (fault.kind, fault.name) == (Kind.BROKEN, layout.MANIFEST)
    remove_faulty(rotten, [fault])
    regenerate(store)
    assert store.read(layout.MANIFEST) == before


def test_a_shard_that_is_quarantined_as_a_whole(tmp_path: Path) -> None:
    store, plan = LocalStore(tmp_path / "dataset"), make_plan(17, 8)
    write_or_check(store, plan)
    write_quarantine(store, Quarantine(index=16, shard=2, attempts=3, reason="poison"))
    maker = ShardMaker(plan, store, StandinTeacher)
    for shard, excluded in ((0, ()), (1, ()), (2, (16,))):
        maker.sample(shard, frozenset(excluded), begun=False)
        maker.publish(shard)
    complete(store, plan)
    assert check(store) == Verdict(pairs=16, shards=3, findings=())
    for where in ("", "cdst_step >= 0"):
        dataset = PublishedDataset.open(store.url, tmp_path / "cache", where)
        assert dataset.sizes == (8, 8, 0)
        reader = Reader(dataset, Order(dataset.sizes, 4, seed=0), flip=False, threads=1)
        assert sum(len(images) for images, _ in reader.batches(0, 4)) == 16


def test_a_sample_that_lacks_without_a_reason(store: LocalStore) -> None:
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
