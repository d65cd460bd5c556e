"""Summaries: what a run did, and what was there before."""

from __future__ import annotations

from pipeline.dataset.accounting import Account
from pipeline.dataset.commit import Commit, StoredFile
from pipeline.generation.fleet import Report
from pipeline.generation.summary import Work, sum_up


def report_of(shard: int, pairs: int, made: bool = True) -> Report:
    file = StoredFile(name="x", sha256="", size=100)
    commit = Commit(plan_sha256="", shard=shard, tar=file, index=file, pairs=pairs, quarantined=())
    return Report(commit, sampling_s=3.0 * made, waiting_s=1.0 * made, made=made)


def test_recovered_shards_are_the_datasets_but_not_this_runs_work() -> None:
    reports = [report_of(0, 8), report_of(1, 7), report_of(2, 8, made=False)]
    account = Account(24, 3, tuple(report.commit for report in reports))
    work = Work()
    for report in reports:
        work.add(report)
    summary = sum_up(account, work, {"retries": 2}, elapsed_s=5.0)
    assert (summary.committed, summary.shards) == (23, 3)
    assert (summary.pairs_made, summary.shards_made, summary.bytes_made) == (15, 2, 400)
    assert (summary.retries, summary.workers_lost, summary.duplicates) == (2, 0, 0)
    assert summary.pairs_per_s == 3.0 and summary.waiting_share == 0.25
    assert summary.to_dict()["waiting_share"] == 0.25
    assert summary.to_dict()["worker_hours"] == 2 * (3 + 1) / 3600


def test_a_run_that_had_nothing_to_do() -> None:
    account = Account(8, 1, (report_of(0, 8).commit,))
    summary = sum_up(account, Work(), {}, elapsed_s=0.5)
    assert summary.pairs_per_s == 0.0 and summary.waiting_share == 0.0
