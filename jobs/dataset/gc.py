"""`onesketch gc`: what dead writers left behind in a dataset's store."""

import time

from jobs.pages.durations import in_words
from jobs.pages.tables import counted, print_table
from pipeline.dataset.plan import read_plan
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.upkeep.garbage import find_garbage, remove_garbage

SECONDS_PER_HOUR = 3600


def run_gc(dataset: str, delete: bool, min_age_h: float) -> None:
    """List orphans of at least an age, or remove them."""
    store = open_store(dataset)
    now_s = time.time()
    entries = find_garbage(store, read_plan(store), now_s, min_age_h * SECONDS_PER_HOUR)
    if not entries:
        print(f"{store.url}: nothing to clear away that is older than {min_age_h:g} h")
        return
    rows = [(e.key, readable_size(e.size), f"{in_words(now_s - e.created_s)} old") for e in entries]
    print_table([("file", "size", "age"), *rows])
    total = (
        f"{counted(len(entries), 'file')}, {readable_size(sum(entry.size for entry in entries))}"
    )
    if delete:
        remove_garbage(store, entries)
        print(f"\nremoved {total}")
    else:
        print(f"\n{total}; nothing was removed, --delete removes them")
