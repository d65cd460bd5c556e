"""Orphans: what dead writers and probes leave behind. Nothing that a run could still need."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.dataset import layout
from pipeline.dataset.plan import Plan
from pipeline.publishing.heartbeats import is_heartbeat
from pipeline.storage.probe import PROBES
from pipeline.storage.store import Entry, Store

_SHARDS_FILE = re.compile(r"(?:shards|index|commits)/([0-9]{5})\.(?:tar|parquet|json)")
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
    entries += [entry for entry in store.entries(layout.WORKERS) if is_heartbeat(entry.key)]
    for folder in (layout.SHARDS, layout.INDEX, layout.COMMITS):
        for entry in store.entries(folder):
            found = _SHARDS_FILE.fullmatch(entry.key)
            if found and int(found[1]) >= plan.num_shards:
                entries.append(entry)
    return [entry for entry in entries if now_s - entry.created_s >= min_age_s]


def remove_garbage(store: Store, entries: Iterable[Entry]) -> None:
    """Remove what `find_garbage` listed."""
    for entry in entries:
        store.delete(entry.key)
