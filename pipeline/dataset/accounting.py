"""Where each planned sample went: planned = committed + quarantined, or it is not finished."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.dataset.commit import (
    Commit,
    check_commits,
    committed_shards,
    find_committed,
    read_commits,
)
from pipeline.dataset.plan import Plan
from pipeline.storage.store import Store


class IncompleteError(ValueError):
    """Samples are neither committed nor quarantined."""


@dataclass(frozen=True)
class Account:
    """The state of a dataset, in samples and shards, from its commit records."""

    planned: int
    num_shards: int
    commits: tuple[Commit, ...]

    @property
    def committed(self) -> int:
        """Samples in committed shards."""
        return sum(commit.pairs for commit in self.commits)

    @property
    def quarantined(self) -> tuple[int, ...]:
        """Samples that committed shards lack, by index."""
        return tuple(index for commit in self.commits for index in commit.quarantined)

    @property
    def complete(self) -> bool:
        """Whether every planned sample is accounted for."""
        return self.planned == self.committed + len(self.quarantined)

    @property
    def missing_shards(self) -> tuple[int, ...]:
        """Shards without a commit record."""
        done = {commit.shard for commit in self.commits}
        return tuple(shard for shard in range(self.num_shards) if shard not in done)

    def check_complete(self) -> None:
        """Raise IncompleteError unless every planned sample is accounted for."""
        if self.complete:
            return
        raise IncompleteError(
            f"{self.planned} samples planned, {self.committed} committed, "
            f"{len(self.quarantined)} quarantined: {len(self.missing_shards)} of "
            f"{self.num_shards} shards are not done; start the same command again to go on"
        )


def take_account(store: Store, plan: Plan, by_name: bool = False) -> Account:
    """Count what the store holds of a plan.

    Args:
        by_name: ask also for those commit records, one by one, that the store does not list.

    Raises:
        ShardError: a commit record is broken, or belongs to another plan.
    """
    if by_name:
        shards = find_committed(store, plan.num_shards)
    else:
        shards = [shard for shard in committed_shards(store) if shard < plan.num_shards]
    commits = read_commits(store, shards)
    check_commits(plan, commits)
    return Account(plan.samples, plan.num_shards, tuple(commits))
