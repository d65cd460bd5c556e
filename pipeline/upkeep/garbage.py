"""Garbage: what dead writers and probes leave behind, and nothing that a run could still need."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.dataset import layout
from pipeline.dataset.plan import Plan
from pipeline.publishing.heartbeats import is_heartbeat
from pipeline.storage.probe import PROBES
from pipeline.storage.store import Entry, Store

_SHARD_FILE = re.compile(r"(?:shards|index|commits)/([0-9]{5})\.(?:tar|parquet|json)")
# Writes of a live run look like garbage, but none takes this long.
MIN_AGE_S = 24 * 3600.0


def find_garbage(
    store: Store, plan: Plan, now_s: float, min_age_s: float = MIN_AGE_S
) -> list[Entry]:
    """List a dataset's garbage that is old enough to be removed.

    Garbage is unfinished writes, probes, workers' heartbeats and shards that the plan does not
    have. Files of other kinds may be somebody's own and are not listed.

    Args:
        now_s: the present time in seconds since 1970.
        min_age_s: the least age of what is listed.
    """
    entries = [*store.leftovers(), *store.entries(PROBES)]
    entries += [entry for entry in store.entries(layout.WORKERS) if is_heartbeat(entry.key)]
    for folder in (layout.SHARDS, layout.INDEX, layout.COMMITS):
        for entry in store.entries(folder):
            match = _SHARD_FILE.fullmatch(entry.key)
            if match and int(match[1]) >= plan.num_shards:
                entries.append(entry)
    return [entry for entry in entries if now_s - entry.created_s >= min_age_s]


def remove_garbage(store: Store, entries: Iterable[Entry]) -> None:
    """Remove what `find_garbage` has listed."""
    for entry in entries:
        store.delete(entry.key)
