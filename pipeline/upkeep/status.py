"""How far a dataset is, from the store alone: no run needs to be asked or even be alive.

Names, sizes and times of its objects say it. Their contents are not read: there may be a quarter of
a million commit records, and people ask often.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.dataset import layout
from pipeline.dataset.manifest import read_manifest
from pipeline.dataset.plan import read_plan
from pipeline.dataset.quarantine import quarantined_samples
from pipeline.publishing.heartbeats import WorkerStatus, read_heartbeats
from pipeline.storage.store import Store

# The rate is that of the latest shards, because earlier runs may have been interrupted. Workers
# that start together publish together, so that several shards of each worker must be counted.
_RECENT_SHARDS, _RECENT_SHARDS_PER_WORKER = 32, 4


@dataclass(frozen=True)
class Status:
    """The samples and shards made so far, and the workers that made them.

    `pairs_per_s` is the rate of the latest shards, 0 while it is unknown; `idle_s` is the time
    since the last commit. `workers` are those with heartbeats, alive or dead; a finished dataset
    has none. `missing` are shards that were committed and are not there any more.
    """

    style: str
    planned: int
    committed: int
    quarantined: int
    num_shards: int
    shards_done: int
    finished: bool
    size_bytes: int
    pairs_per_s: float
    idle_s: float
    workers: tuple[WorkerStatus, ...]
    missing: tuple[int, ...]

    @property
    def time_left_s(self) -> float | None:
        """Time left at the present rate; None while the rate is unknown."""
        left = self.planned - self.committed - self.quarantined
        if left == 0:
            return 0.0
        return left / self.pairs_per_s if self.pairs_per_s else None


def read_status(store: Store, now_s: float) -> Status:
    """Read from a store how far its dataset is.

    Args:
        now_s: the present time in seconds since 1970.

    Raises:
        MissingKeyError: there is no dataset.
        ManifestError: the manifest is broken.
    """
    plan = read_plan(store)
    committed_s = _commit_times(store, plan.num_shards)
    times_s = sorted(committed_s.values())
    given_up = sum(index // plan.shard_size in committed_s for index in quarantined_samples(store))
    workers = read_heartbeats(store)
    sizes = _shard_sizes(store, committed_s)
    recent = times_s[-max(_RECENT_SHARDS, _RECENT_SHARDS_PER_WORKER * len(workers)) :]
    elapsed_s = recent[-1] - recent[0] if recent else 0.0
    pairs = (len(recent) - 1) * plan.shard_size
    return Status(
        style=plan.style,
        planned=plan.samples,
        committed=sum(len(plan.indices(shard)) for shard in committed_s) - given_up,
        quarantined=given_up,
        num_shards=plan.num_shards,
        shards_done=len(committed_s),
        finished=_is_finished(store),
        size_bytes=sum(sizes.values()),
        pairs_per_s=pairs / elapsed_s if elapsed_s > 0 else 0.0,
        idle_s=max(now_s - times_s[-1], 0.0) if times_s else 0.0,
        workers=tuple(workers),
        missing=tuple(sorted(committed_s.keys() - sizes.keys())),
    )


def _commit_times(store: Store, num_shards: int) -> dict[int, float]:
    """Return when each committed shard's record was created, in seconds since 1970."""
    times_s = {}
    for entry in store.entries(layout.COMMITS):
        shard = layout.committed_shard(entry.key)
        if shard is not None and shard < num_shards:
            times_s[shard] = entry.created_s
    return times_s


def _shard_sizes(store: Store, shards: Iterable[int]) -> dict[int, int]:
    """Return the bytes of those shards that the store lists."""
    sizes = {entry.key: entry.size for entry in store.entries(layout.SHARDS)}
    keys = {shard: layout.shard_key(shard) for shard in shards}
    return {shard: sizes[key] for shard, key in keys.items() if key in sizes}


def _is_finished(store: Store) -> bool:
    """Tell whether there is a manifest; a broken one is an error, not an answer."""
    if not store.exists(layout.MANIFEST):
        return False
    read_manifest(store)
    return True
