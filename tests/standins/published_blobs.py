"""A small published dataset of the stand-in teacher's pairs, made without Ray."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline import canonical
from pipeline.dataset.encode import encode
from pipeline.dataset.plan import write_or_check
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from tests.standins.standin_teacher import StandinTeacher, make_plan


def write_dataset(
    folder: Path | str, samples: int = 22, shard_size: int = 8, side: int = 32
) -> str:
    """Write `samples` pairs of `side` pixels; gives the dataset's address."""
    store, teacher = open_store(str(folder)), StandinTeacher(image_size=side)
    plan = write_or_check(store, make_plan(samples, shard_size))
    for shard in range(plan.num_shards):
        specs = [plan.spec(index) for index in plan.indices(shard)]
        publish(store, plan, shard, [encode(pair) for pair in teacher.pairs(specs)])
    complete(store, plan)
    return str(folder)


def hashes(address: str, names: Iterable[str] | None = None) -> dict[str, str]:
    """SHA-256 of all that a dataset's place lists, or of what has these names, by name."""
    store = open_store(address)
    return {key: canonical.sha256(store.read(key)) for key in names or store.keys("")}
