"""The run summary of `generate`."""

from __future__ import annotations

import io

from rich.console import Console

from jobs.stages.run_summary import summary_table
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
