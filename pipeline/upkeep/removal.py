"""Removing a dataset, when it is to be made anew: its own objects, and no others."""

from __future__ import annotations

from pipeline.dataset import layout
from pipeline.storage.parallel import in_parallel
from pipeline.storage.store import Entry, Store

_FOLDERS = (
    layout.COMMITS,
    layout.INDEX,
    layout.SHARDS,
    layout.QUARANTINE,
    layout.WORKERS,
)


def dataset_entries(store: Store) -> list[Entry]:
    """List a dataset's objects in the order in which they may go.

    The manifest goes first: without it the dataset counts as unfinished. The plan goes last: a
    removal that was interrupted leaves a dataset that can be resumed, or removed again.
    """
    files = {entry.key: entry for entry in store.entries("") if "/" not in entry.key}
    first = [files[key] for key in (layout.MANIFEST, layout.CARD, layout.GALLERY) if key in files]
    inner = [entry for folder in _FOLDERS for entry in store.entries(folder)]
    return [*first, *inner, *(files[key] for key in (layout.PLAN,) if key in files)]


def remove_dataset(store: Store) -> None:
    """Remove a dataset's objects; what else lies there stays."""
    entries = dataset_entries(store)
    if not entries:
        return
    first, inner, last = entries[:1], entries[1:-1], entries[-1:]
    for some in (first, inner, last):
        for _ in in_parallel(store.delete, [entry.key for entry in some]):
            pass
