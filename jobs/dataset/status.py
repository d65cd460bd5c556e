"""`onesketch status`: how far a dataset is, from its store alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

from jobs.pages.answers import print_json
from jobs.pages.durations import in_words
from jobs.pages.tables import print_table
from pipeline.dataset import layout
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.upkeep.status import Status, read_status

# A worker that has been silent for this many times its own mean between shards may be gone.
_SILENT_AFTER = 4
_MOST_MISSING = 4


def run_status(dataset: str, as_json: bool = False) -> None:
    """Print how far a dataset is; takes only reading rights to the store.

    Args:
        dataset: its folder or s3:// address.
        as_json: for programs.
    """
    now_s = time.time()
    store = open_store(dataset)
    status = read_status(store, now_s)
    if as_json:
        print_json({"dataset": store.url, **asdict(status), "time_left_s": status.time_left_s})
        return
    print(store.url)
    print_table(_status_rows(status))
    if status.workers and not status.finished:
        print()
        header = ("worker", "shards", "a shard", "last sign", "")
        print_table([header, *_worker_rows(status, now_s)])


def _status_rows(status: Status) -> list[tuple[str, str]]:
    """List what there is to say of a dataset, (name, value)."""
    done = status.committed + status.quarantined
    rows = [
        ("style", status.style),
        ("state", _state_text(status)),
        ("pairs", f"{status.committed:,} of {status.planned:,} ({done / status.planned:.1%})"),
        ("shards", f"{status.shards_done:,} of {status.num_shards:,}"),
        ("size", readable_size(status.size_bytes)),
    ]
    if status.missing:
        gone = ", ".join(layout.shard_key(shard) for shard in status.missing[:_MOST_MISSING])
        more = " ..." * (len(status.missing) > _MOST_MISSING)
        rows.insert(4, ("missing", f"{gone}{more}: `onesketch repair RECIPE` makes them again"))
    if status.quarantined:
        rows.insert(3, ("given up", f"{status.quarantined:,} samples, see quarantine/"))
    return [*rows, *_rate_rows(status)]


def _state_text(status: Status) -> str:
    """Say in a few words how far a dataset is."""
    if status.finished:
        return "finished"
    if not status.shards_done:
        return "started; no shard is committed yet"
    if status.time_left_s == 0.0:
        return "all shards are committed; run generate again to write the manifest"
    return f"under way; the last shard came {in_words(status.idle_s)} ago"


def _rate_rows(status: Status) -> Iterator[tuple[str, str]]:
    """Say the rate and the time left, as far as they are known."""
    if status.finished or status.time_left_s == 0.0:
        return
    if status.pairs_per_s:
        yield "rate", f"{status.pairs_per_s:.3g} pairs/s over the latest shards"
    left_s = status.time_left_s
    yield "time left", "not known yet" if left_s is None else f"{in_words(left_s)} at this rate"


def _worker_rows(status: Status, now_s: float) -> list[tuple[str, ...]]:
    """Make one row a worker: name, shards, time a shard, last sign of life, and a doubt."""
    rows: list[tuple[str, ...]] = []
    for worker in status.workers:
        silent_s, pace_s = max(now_s - worker.last_s, 0.0), worker.seconds_per_shard
        doubt = "silent: gone?" if pace_s and silent_s > _SILENT_AFTER * pace_s else ""
        pace = in_words(pace_s) if pace_s else "-"
        rows.append((worker.worker, str(worker.shards), pace, f"{in_words(silent_s)} ago", doubt))
    return rows
