"""Where every planned sample went: a dataset is done when planned = committed + quarantined."""

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
    """Some samples are neither committed nor quarantined."""


@dataclass(frozen=True)
class Account:
    """The state of a dataset in samples and shards, as its commit records tell it."""

    planned: int
    num_shards: int
    commits: tuple[Commit, ...]

    @property
    def committed(self) -> int:
        """Number of samples in committed shards."""
        return sum(commit.pairs for commit in self.commits)

    @property
    def quarantined(self) -> tuple[int, ...]:
        """Indices of the samples that are missing from committed shards."""
        return tuple(index for commit in self.commits for index in commit.quarantined)

    @property
    def complete(self) -> bool:
        """Whether every planned sample is accounted for."""
        return self.planned == self.committed + len(self.quarantined)

    @property
    def missing_shards(self) -> tuple[int, ...]:
        """Numbers of the shards without a commit record."""
        done = {commit.shard for commit in self.commits}
        return tuple(shard for shard in range(self.num_shards) if shard not in done)

    def check_complete(self) -> None:
        """Check that every planned sample is accounted for.

        Raises:
            IncompleteError: some samples are neither committed nor quarantined.
        """
        if self.complete:
            return
        raise IncompleteError(
            f"{self.planned} samples planned, {self.committed} committed, "
            f"{len(self.quarantined)} quarantined: {len(self.missing_shards)} of "
            f"{self.num_shards} shards are missing; start the same command again to make them"
        )


def read_account(store: Store, plan: Plan, include_unlisted: bool = False) -> Account:
    """Read from the commit records in a store how much of a plan is done.

    Args:
        include_unlisted: also look up, one by one, commit records that the store does not list.

    Raises:
        ShardError: a commit record is broken or belongs to another plan.
    """
    if include_unlisted:
        shards = find_committed(store, plan.num_shards)
    else:
        shards = [shard for shard in committed_shards(store) if shard < plan.num_shards]
    commits = read_commits(store, shards)
    check_commits(plan, commits)
    return Account(plan.samples, plan.num_shards, tuple(commits))
