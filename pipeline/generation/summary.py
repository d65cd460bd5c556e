"""What one run did for a dataset, as its driver counted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.dataset.accounting import Account
from pipeline.generation.fleet import Report


@dataclass
class Work:
    """What a run's workers have done so far: sums, because the reports of a large run do not fit.

    `sampling_s` and `waiting_s` are summed over the workers' sampling threads.
    """

    shards_made: int = 0
    pairs_made: int = 0
    bytes_made: int = 0
    sampling_s: float = 0.0
    waiting_s: float = 0.0

    def add(self, report: Report) -> None:
        """Count a shard that this run committed or, not `made`, only recovered."""
        self.sampling_s += report.sampling_s
        self.waiting_s += report.waiting_s
        if report.made:
            self.shards_made += 1
            self.pairs_made += report.commit.pairs
            self.bytes_made += report.commit.size_bytes


@dataclass(frozen=True)
class Summary:
    """A finished dataset and what this run did for it; earlier runs may have made parts of it.

    `planned`, `committed`, `quarantined` and `shards` are the dataset's, all others this run's.
    `sampling_s` and `waiting_s` are summed over the workers' sampling threads; `duplicates` counts
    second copies of slow shards that were assigned.
    """

    planned: int
    committed: int
    quarantined: int
    shards: int
    shards_made: int
    pairs_made: int
    bytes_made: int
    retries: int
    workers_lost: int
    duplicates: int
    elapsed_s: float
    sampling_s: float
    waiting_s: float

    @property
    def pairs_per_s(self) -> float:
        """Pairs made per second of the whole run, including its start."""
        return self.pairs_made / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def waiting_share(self) -> float:
        """Share of their time that the sampling threads spent waiting, 0 to 1."""
        total_s = self.sampling_s + self.waiting_s
        return self.waiting_s / total_s if total_s else 0.0

    @property
    def worker_hours(self) -> float:
        """Hours that all workers were at work or waited for it, their loading not counted."""
        return (self.sampling_s + self.waiting_s) / 3600

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able data."""
        return asdict(self) | {
            "pairs_per_s": self.pairs_per_s,
            "waiting_share": self.waiting_share,
            "worker_hours": self.worker_hours,
        }


def sum_up(account: Account, work: Work, counts: Mapping[str, int], elapsed_s: float) -> Summary:
    """Sum up a run.

    Args:
        account: of the dataset at the end.
        work: of this run.
        counts: the ledger's retries, workers_lost and duplicates.
    """
    return Summary(
        planned=account.planned,
        committed=account.committed,
        quarantined=len(account.quarantined),
        shards=account.num_shards,
        shards_made=work.shards_made,
        pairs_made=work.pairs_made,
        bytes_made=work.bytes_made,
        retries=counts.get("retries", 0),
        workers_lost=counts.get("workers_lost", 0),
        duplicates=counts.get("duplicates", 0),
        elapsed_s=elapsed_s,
        sampling_s=work.sampling_s,
        waiting_s=work.waiting_s,
    )
