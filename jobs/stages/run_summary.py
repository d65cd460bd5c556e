"""What a run of `generate` did, as a table for people."""

from __future__ import annotations

from rich.table import Table

from jobs.pages.durations import in_words
from pipeline.generation.summary import Summary


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
