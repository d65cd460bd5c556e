"""Removing a dataset, when it is to be made anew: its own objects, and no others."""

from __future__ import annotations

from pipeline.dataset import layout
from pipeline.storage.parallel import in_parallel
from pipeline.storage.store import Entry, Store

# In the order in which they may go. Without its manifest a dataset counts as unfinished, a shard
# without its commit as not made, and the plan goes last: a removal that was interrupted leaves a
# dataset that can be resumed, or removed again.
_ORDER = (
    layout.MANIFEST,
    layout.CARD,
    layout.GALLERY,
    layout.COMMITS,
    layout.INDEX,
    layout.SHARDS,
    layout.QUARANTINE,
    layout.WORKERS,
    layout.PLAN,
)


def dataset_entries(store: Store) -> list[Entry]:
    """List a dataset's objects in the order in which they may go."""
    everything = store.entries("")
    return [entry for part in _ORDER for entry in everything if _belongs(entry, part)]


def remove_dataset(store: Store) -> None:
    """Remove a dataset's objects; what else lies there stays."""
    everything = store.entries("")
    for part in _ORDER:
        # All of a part before the next: within one the order does not matter.
        keys = [entry.key for entry in everything if _belongs(entry, part)]
        for _ in in_parallel(store.delete, keys):
            pass


def _belongs(entry: Entry, part: str) -> bool:
    return entry.key.startswith(part) if part.endswith("/") else entry.key == part
