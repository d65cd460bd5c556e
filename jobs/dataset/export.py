"""`onesketch export`: a finished dataset in a form for tools that read no tar."""

from pathlib import Path

from pipeline.events import OnEvent
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.export import export

# Shards are read once and kept in memory meanwhile: this folder is never made.
NO_CACHE = ".cache"


def run_export(dataset: str, out: Path, form: str, where: str, on_event: OnEvent) -> None:
    """Write the pairs of a dataset that a filter holds for to a new folder."""
    published = PublishedDataset.open(dataset, out / NO_CACHE, where)
    pairs = export(published, out, form, on_event)
    total = published.manifest.counts.committed
    chosen = f"{pairs:,} of {total:,} pairs" if where else f"all {pairs:,} pairs"
    print(f"{out}: {chosen} as {form}")
