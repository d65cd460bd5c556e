"""`onesketch list`: the runs and datasets in a folder or under an address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from jobs.pages.answers import print_json
from jobs.pages.tables import counted, print_table
from pipeline.dataset import layout
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import read_plan
from pipeline.storage.address import open_store
from pipeline.storage.store import Store

# Folders of a run, in the order of its stages, with the file that each stage writes last. Their own
# modules have these names too, and take seconds to load.
PARTS = {"source": "source.json", "teacher": "teach.json", "extractor": "config.json"}
# Of folders below the one asked for: a mistyped address shall not list a whole disk or bucket.
_DEPTH = 5


@dataclass(frozen=True)
class FoundDataset:
    """A dataset, finished or not; `license` is empty where its recipe states none."""

    address: str
    style: str
    samples: int
    num_shards: int
    shards_done: int
    finished: bool
    license: str


@dataclass(frozen=True)
class FoundRun:
    """A run, and which of its parts are finished, apart from its dataset."""

    address: str
    parts: tuple[str, ...]


def run_list(address: str, as_json: bool = False) -> None:
    """Print what is there; takes only reading rights.

    Args:
        address: a folder or s3://bucket/prefix.
        as_json: for programs.

    Raises:
        StorageError: the store fails.
        ValueError: a plan is not of this format.
    """
    store = open_store(address)
    found = list(_find(store))
    if as_json:
        runs = [asdict(run) for run in found if isinstance(run, FoundRun)]
        datasets = [asdict(dataset) for dataset in found if isinstance(dataset, FoundDataset)]
        print_json({"address": store.url, "runs": runs, "datasets": datasets})
    elif found:
        print_table([("address", "what", "style", "pairs", "state"), *map(_row, found)])
    else:
        print(f"{store.url}: no run and no dataset in it, nor {_DEPTH} folders below")


def _find(store: Store, folder: str = "", depth: int = _DEPTH) -> Iterator[FoundRun | FoundDataset]:
    """Yield the runs and datasets in a folder of a store, and in those below it."""
    if store.exists(folder + layout.PLAN):
        yield _describe(open_store(f"{store.url}/{folder}".rstrip("/")))
        return
    inner = store.folders(folder)
    parts = [part for part in PARTS if f"{folder}{part}/" in inner]
    finished = tuple(part for part in parts if store.exists(f"{folder}{part}/{PARTS[part]}"))
    if finished:
        yield FoundRun(f"{store.url}/{folder}".rstrip("/"), finished)
    if depth:
        for name in inner:
            if not (finished and name.removeprefix(folder).rstrip("/") in PARTS):
                yield from _find(store, name, depth - 1)


def _describe(store: Store) -> FoundDataset:
    plan = read_plan(store)
    finished = store.exists(layout.MANIFEST)
    # A finished one may have a quarter of a million records, of which nothing is to be learned.
    done = plan.num_shards if finished else len(committed_shards(store))
    return FoundDataset(
        address=store.url,
        style=plan.style,
        samples=plan.samples,
        num_shards=plan.num_shards,
        shards_done=done,
        finished=finished,
        license=plan.license,
    )


def _row(found: FoundRun | FoundDataset) -> tuple[str, ...]:
    if isinstance(found, FoundRun):
        return found.address, "run", "", "", ", ".join(found.parts)
    shards = counted(found.num_shards, "shard")
    state = "finished" if found.finished else f"{found.shards_done:,} of {shards}"
    if found.license:
        state = f"{state}, {found.license}"
    return found.address, "dataset", found.style, f"{found.samples:,}", state
