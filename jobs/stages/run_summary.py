"""What a run of `generate` did, as a table for people."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from rich.table import Table

from jobs.pages.durations import in_words
from pipeline.events import OnEvent
from pipeline.generation.events import ShardPublished
from pipeline.generation.summary import Summary, Work


class Tally:
    """Passes events on and counts what a run has made, for the record of one that is stopped."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._start_s = time.monotonic()
        self._work = Work()

    def __call__(self, name: str, **fields: Any) -> None:
        """Count an event and pass it on."""
        if name == ShardPublished.name:
            work = self._work
            work.sampling_s += fields["sampling_s"]
            work.waiting_s += fields["waiting_s"]
            work.shards_made += fields["made"]
            work.pairs_made += fields["pairs"] if fields["made"] else 0
            work.bytes_made += fields["size_bytes"] if fields["made"] else 0
        self._on_event(name, **fields)

    def summary(self, planned: int, committed: int, shards: int) -> Summary:
        """Return what is known of a stopped run, on a dataset of so many samples and shards."""
        return Summary(
            planned=planned,
            committed=committed,
            quarantined=0,
            shards=shards,
            retries=0,
            workers_lost=0,
            duplicates=0,
            elapsed_s=time.monotonic() - self._start_s,
            **asdict(self._work),
        )


def summary_table(summary: Summary) -> Table:
    """Lay a run's summary out as two columns."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _lines(summary):
        table.add_row(name, value)
    return table


def _lines(summary: Summary) -> list[tuple[str, str]]:
    held = f"{summary.committed} of {summary.planned} planned"
    return [
        ("pairs in the dataset", f"{held}, {summary.quarantined} quarantined"),
        ("made by this run", f"{summary.pairs_made} pairs in {summary.shards_made} shards"),
        ("written", f"{summary.bytes_made / 1e6:.1f} MB"),
        ("time", f"{in_words(summary.elapsed_s)}, {summary.pairs_per_s:.3g} pairs/s"),
        ("sampling thread waited", f"{summary.waiting_share:.1%} of its time"),
        ("shards tried again", str(summary.retries)),
        ("copies of slow shards", str(summary.duplicates)),
        ("workers lost", str(summary.workers_lost)),
    ]
