"""The run summary of `generate`."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from jobs.stages.run_summary import Tally, summary_table
from pipeline.generation.events import Draining, ShardPublished, listener_of
from pipeline.generation.summary import Summary

SUMMARY = Summary(
    planned=100,
    committed=99,
    quarantined=1,
    shards=10,
    shards_made=4,
    pairs_made=40,
    bytes_made=2_500_000,
    retries=3,
    workers_lost=2,
    duplicates=1,
    elapsed_s=20.0,
    sampling_s=30.0,
    waiting_s=10.0,
)


def test_people_see_what_is_lost_and_what_waited() -> None:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(summary_table(SUMMARY))
    text = captured.get()
    assert "99 of 100 planned, 1 quarantined" in text
    assert "25.0% of its time" in text and "2.5 MB" in text


def test_a_stopped_run_is_recorded_by_what_it_published() -> None:
    seen: list[str] = []
    tally = Tally(lambda name, **_: seen.append(name))
    listen = listener_of(tally)
    shard = ShardPublished(0, 1, True, 32, 1000, sampling_s=30.0, waiting_s=6.0)
    listen(shard)
    # One that an earlier run had made and this one only published: its time counts, not its pairs.
    listen(replace(shard, shard=1, made=False, sampling_s=0.0))
    listen(Draining(grace_s=5.0))
    summary = tally.summary(planned=96, committed=64, shards=3)
    assert (summary.shards_made, summary.pairs_made, summary.bytes_made) == (1, 32, 1000)
    assert summary.worker_hours == 42 / 3600
    assert seen == ["generate.shard", "generate.shard", "generate.draining"]
