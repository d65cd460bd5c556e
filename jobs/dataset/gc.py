"""`onesketch gc`: what dead writers left behind in a dataset's store."""

from __future__ import annotations

import time
from dataclasses import asdict

from jobs.pages.answers import print_json
from jobs.pages.durations import in_words
from jobs.pages.tables import counted, print_table
from pipeline.dataset.plan import read_plan
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.upkeep.garbage import find_garbage, remove_garbage

_SECONDS_PER_HOUR = 3600


def run_gc(dataset: str, delete: bool, min_age_h: float, as_json: bool = False) -> None:
    """List files that dead writers left, or remove them.

    Args:
        delete: remove them.
        min_age_h: younger ones are left alone: they may be those of a run at work.
        as_json: for programs.
    """
    store = open_store(dataset)
    now_s = time.time()
    entries = find_garbage(store, read_plan(store), now_s, min_age_h * _SECONDS_PER_HOUR)
    if as_json:
        if delete:
            remove_garbage(store, entries)
        files = [asdict(entry) | {"age_s": now_s - entry.created_s} for entry in entries]
        print_json({"dataset": store.url, "removed": delete, "files": files})
        return
    if not entries:
        print(f"{store.url}: nothing to clear away; no leftover is older than {min_age_h:g} h")
        return
    rows = [
        (entry.key, readable_size(entry.size), f"{in_words(now_s - entry.created_s)} old")
        for entry in entries
    ]
    print_table([("file", "size", "age"), *rows])
    size = readable_size(sum(entry.size for entry in entries))
    total = f"{counted(len(entries), 'file')}, {size}"
    if delete:
        remove_garbage(store, entries)
        print(f"\nremoved {total}")
    else:
        print(f"\n{total}; nothing was removed: --delete removes them")
