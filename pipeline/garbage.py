"""Orphans: what dead writers and probes leave behind. Nothing that a run could still need."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline import layout
from pipeline.plan import Plan
from pipeline.storage.probe import PROBES
from pipeline.storage.store import Entry, Store
from pipeline.worker_notes import is_note

# Writes of living runs look like orphans; none takes that long.
MIN_AGE_S = 24 * 3600.0


def find_garbage(
    store: Store, plan: Plan, now_s: float, min_age_s: float = MIN_AGE_S
) -> list[Entry]:
    """List a dataset's orphans that are old enough.

    They are unfinished writes, probes, notes of workers, shards that are not planned.

    Files of other kinds are somebody's, and not listed.

    Args:
        now_s: seconds since 1970.
    """
    entries = [*store.leftovers(), *store.entries(PROBES)]
    entries += [entry for entry in store.entries(layout.WORKERS) if is_note(entry.key)]
    shards = range(plan.num_shards)
    for folder, name_of in (
        (layout.SHARDS, layout.shard_key),
        (layout.INDEX, layout.index_key),
        (layout.COMMITS, layout.commit_key),
    ):
        planned = {name_of(shard) for shard in shards}
        entries += [entry for entry in store.entries(folder) if entry.key not in planned]
    return [entry for entry in entries if now_s - entry.created_s >= min_age_s]


def remove_garbage(store: Store, entries: Iterable[Entry]) -> None:
    """Remove what `find_garbage` listed."""
    for entry in entries:
        store.delete(entry.key)
