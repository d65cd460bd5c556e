"""`onesketch export`: a finished dataset in a form for tools that do not read tar files."""

from __future__ import annotations

from pathlib import Path

from pipeline.events import OnEvent
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.export import export


def run_export(dataset: str, out: Path, form: str, where: str, on_event: OnEvent) -> None:
    """Write a dataset's pairs to a new folder.

    Args:
        form: one of `pipeline.reading.export.FORMS`.
        where: filter on the index's columns; empty: all pairs.

    Raises:
        ValueError: form or filter is unknown, or the folder is not empty.
        RefusedError: a shard is not what the manifest says.
    """
    published = PublishedDataset.open(dataset, None, where)
    pairs = export(published, out, form, on_event)
    total = published.manifest.counts.committed
    chosen = f"{pairs:,} of {total:,} pairs" if where else f"all {pairs:,} pairs"
    print(f"{out}: {chosen} as {form}")
