"""How far a dataset is, from the store alone: no run needs to be asked, or even alive."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.dataset import layout
from pipeline.dataset.accounting import take_account
from pipeline.dataset.manifest import read_manifest
from pipeline.dataset.plan import read_plan
from pipeline.publishing.heartbeats import WorkerStatus, read_heartbeats
from pipeline.storage.store import Store

# The rate is that of the latest shards: runs may have been interrupted before. Workers that began
# together publish together, so that some of each one's are looked at.
_RECENT_SHARDS, _RECENT_SHARDS_EACH = 32, 4


@dataclass(frozen=True)
class Status:
    """Samples and shards so far; `pairs_per_s` is that of the latest shards, 0 while unknown.

    `workers` are those that left notes, living or dead; none once the dataset is finished.
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

    @property
    def time_left_s(self) -> float | None:
        """Time to the end at the present rate; None while that is unknown."""
        left = self.planned - self.committed - self.quarantined
        if left == 0:
            return 0.0
        return left / self.pairs_per_s if self.pairs_per_s else None


def take_status(store: Store, now_s: float) -> Status:
    """Look how far a dataset is.

    Args:
        now_s: seconds since 1970.

    Raises:
        MissingKeyError: there is no dataset.
        ShardError: a commit record is broken, or belongs to another plan.
        ManifestError: the manifest is broken.
    """
    plan = read_plan(store)
    account = take_account(store, plan)
    times_s = sorted(entry.created_s for entry in store.entries(layout.COMMITS))
    workers = read_heartbeats(store)
    recent = times_s[-max(_RECENT_SHARDS, _RECENT_SHARDS_EACH * len(workers)) :]
    elapsed_s = recent[-1] - recent[0] if recent else 0.0
    pairs = (len(recent) - 1) * plan.shard_size
    return Status(
        style=plan.style,
        planned=account.planned,
        committed=account.committed,
        quarantined=len(account.quarantined),
        num_shards=account.num_shards,
        shards_done=len(account.commits),
        finished=_is_finished(store),
        size_bytes=sum(commit.tar.size for commit in account.commits),
        pairs_per_s=pairs / elapsed_s if elapsed_s > 0 else 0.0,
        idle_s=max(now_s - times_s[-1], 0.0) if times_s else 0.0,
        workers=tuple(workers),
    )


def _is_finished(store: Store) -> bool:
    """Whether there is a manifest; a broken one is an error, not an answer."""
    if not store.exists(layout.MANIFEST):
        return False
    read_manifest(store)
    return True
