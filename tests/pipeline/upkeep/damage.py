"""Damage to a small dataset, and the two ways to deal with it: verify, generate again."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.dataset.plan import read_plan
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.storage.local import LocalStore
from pipeline.upkeep.verify import Verdict, verify
from tests.standins.standin_teacher import StandinTeacher


def check(store: LocalStore) -> Verdict:
    """Verify a dataset without listening to events."""
    return verify(store, lambda *_, **__: None)


def rewrite(store: LocalStore, name: str, change: Callable[[bytes], bytes] | None) -> None:
    """Change a file's content; without a change, remove it."""
    path = store.root / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))


def regenerate(store: LocalStore) -> None:
    """Make what is missing, as a new run does."""
    plan = read_plan(store)
    maker = ShardMaker(plan, store, StandinTeacher)
    for shard in range(plan.num_shards):
        maker.sample(shard, frozenset(), begun=True)
        maker.publish(shard)
    complete(store, plan)
