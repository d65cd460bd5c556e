"""Verification: sound datasets pass, lies are found, remarks are no faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dataset.encode import EncodedPair
from pipeline.dataset.plan import write_or_check
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.generation.worker import ShardMaker
from pipeline.pair import Pair, SampleSpec
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.storage.local import LocalStore
from pipeline.upkeep.verify import Kind, Verdict
from tests.pipeline.upkeep.damage import check
from tests.standins.published_blobs import encode_shard
from tests.standins.standin_teacher import StandinTeacher, make_plan


def test_a_sound_dataset(store: LocalStore) -> None:
    assert check(store) == Verdict(pairs=22, shards=3, findings=())


def test_a_consistent_lie_is_found(tmp_path: Path) -> None:
    """Hashes agree, but the metadata in the shard does not match its pictures."""
    store, plan = LocalStore(tmp_path / "dataset"), make_plan(8)
    write_or_check(store, plan)
    pairs = encode_shard(plan, 0)
    liar, broken = pairs[2], pairs[5]
    metadata = liar.metadata.replace(b'"blankness":', b'"blankness":0.123,"was":')
    pairs[2] = EncodedPair(2, liar.image, liar.sketch, metadata)
    pairs[5] = EncodedPair(5, broken.image[:-30], broken.sketch, broken.metadata)
    publish(store, plan, 0, pairs)
    faults = {fault.sample: fault for fault in check(store).faults if fault.sample is not None}
    assert faults.keys() == {2, 5} and {fault.kind for fault in faults.values()} == {Kind.BROKEN}
    assert faults[2].detail == "its metadata does not match its pictures: blankness"
    assert faults[5].detail.startswith("not a valid WEBP picture")


class CarelessTeacher(StandinTeacher):
    """Makes a blank sketch, a duplicate and a near-duplicate."""

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs."""
        made = super().pairs(specs)
        for pair in made:
            if pair.index == 3:
                pair.sketch[:] = 255
            if pair.index in (5, 6):
                pair.image[:] = made[0].image
            if pair.index == 6:
                pair.image[0, 0] ^= 1
        return made


def test_remarks_are_no_faults(tmp_path: Path) -> None:
    store, plan = LocalStore(tmp_path / "dataset"), make_plan(8, batch=8)
    write_or_check(store, plan)
    maker = ShardMaker(plan, store, CarelessTeacher)
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
