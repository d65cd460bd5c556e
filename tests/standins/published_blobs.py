"""Small published datasets of the stand-in teacher's pairs, made without Ray."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from pipeline import canonical
from pipeline.dataset.encode import EncodedPair, encode_pair
from pipeline.dataset.plan import Plan, write_or_check
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from pipeline.storage.store import Store
from tests.standins.standin_teacher import StandinTeacher, make_plan


def write_dataset(
    folder: Path | str,
    samples: int = 22,
    shard_size: int = 8,
    side: int = 32,
    seed: int = 7,
    style: str = "blobs",
) -> str:
    """Write a dataset of `samples` pairs of `side` pixels and return its address."""
    store, plan = open_store(str(folder)), make_plan(samples, shard_size, seed=seed)
    plan = plan.model_copy(update={"style": style})
    publish_shards(store, plan, side)
    complete(store, plan)
    return str(folder)


def publish_shards(store: Store, plan: Plan, side: int = 32) -> None:
    """Publish all shards of a plan, but not the manifest."""
    write_or_check(store, plan)
    for shard in range(plan.num_shards):
        publish(store, plan, shard, encode_shard(plan, shard, side=side))


def encode_shard(
    plan: Plan, shard: int, without: Collection[int] = (), side: int = 32
) -> list[EncodedPair]:
    """Make and encode the pairs of a shard, except for some samples."""
    specs = [plan.spec(index) for index in plan.indices(shard) if index not in without]
    return [encode_pair(pair) for pair in StandinTeacher(image_size=side).pairs(specs)]


def hashes(address: str | Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return by name the SHA-256 of all files that a dataset lists, or of those named."""
    store = open_store(str(address))
    return {key: canonical.sha256(store.read(key)) for key in names or store.keys("")}
