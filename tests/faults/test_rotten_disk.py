"""Bits that rot on the server's disk: the shard is refused by name, and can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.plan import Plan, read_plan
from pipeline.publishing.publish import publish
from pipeline.reading.dataset import PublishedDataset
from pipeline.storage.address import open_store
from pipeline.storage.store import Store
from pipeline.upkeep.repair import remove_faulty
from pipeline.upkeep.verify import Verdict, verify
from tests.servers.swift_server import SwiftServer
from tests.standins.published_blobs import hashes, write_dataset
from tests.standins.standin_teacher import StandinTeacher

pytestmark = pytest.mark.s3

ROTTEN = layout.shard_key(1)


def rot(server: SwiftServer, content: bytes) -> None:
    """Flip a bit of the file in which the server keeps the object written last with a content."""
    # Other tests' buckets hold the same bytes: the newest file is ours.
    files = (server.folder / "devices" / "disk" / "objects").rglob("*.data")
    equal = (file for file in files if file.read_bytes() == content)
    kept = max(equal, key=lambda file: file.stat().st_mtime_ns)
    with kept.open("r+b") as file:
        file.seek(len(content) // 2)
        file.write(bytes([content[len(content) // 2] ^ 1]))


def check(store: Store) -> Verdict:
    return verify(store, lambda *_, **__: None)


def make_again(store: Store, plan: Plan) -> None:
    pairs = StandinTeacher().pairs([plan.spec(index) for index in plan.indices(1)])
    publish(store, plan, 1, [encode_pair(pair) for pair in pairs])


def test_a_rotten_shard(
    swift: SwiftServer, bucket: str, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    address = write_dataset(f"s3://{bucket}/ink")
    store = open_store(address)
    assert hashes(address) == undisturbed and check(store).findings == ()
    rot(swift, store.read(ROTTEN))
    with pytest.raises(ValueError, match=ROTTEN):
        dataset = PublishedDataset.open(address, tmp_path / "cache")
        for shard in range(3):
            dataset.pair(shard, 0)
    (fault,) = check(store).faults
    assert fault.name == ROTTEN
    remove_faulty(store, [fault])
    make_again(store, read_plan(store))
    write_dataset(address)
    assert hashes(address) == undisturbed
