"""Benchmark `records`: driver, finish, status and reader of a dataset with 250,000 shards.

Each part runs in a process of its own, on a store that makes its records up. What a real store adds
is its own time for the same requests, which docs/scale.md counts.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort
from jobs.benchmarks.memory import peak_above_start_mb
from jobs.benchmarks.standins.recorded_store import SHARD_SIZE, RecordedStore
from pipeline.dataset import layout
from pipeline.dataset.accounting import Account, read_account
from pipeline.dataset.manifest import build_manifest, read_hashed_manifest, write_manifest
from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_fleet import SimulatedFleet, WorkerBehaviour
from pipeline.publishing.finish import complete
from pipeline.reading.dataset import PublishedDataset, check_manifest
from pipeline.reading.order import Order
from pipeline.upkeep.status import read_status

SHARDS = 250_000
_TINY_SHARDS = 300
_WORKERS = 1000
_BATCH = 64
# What a small head node can spare, and each of eight ranks of a node beside its pictures.
_MOST_MB = 768.0


@dataclass(frozen=True)
class Part:
    """What one part took: processor seconds, and MB at most above those at its start."""

    cpu_s: float
    peak_mb: float


def measure_records(effort: Effort) -> BenchmarkResult:
    """Run every part once in a fresh process: memory hardly varies."""
    shards = _TINY_SHARDS if effort.tiny else SHARDS
    parts = {name: _measure_part(name, shards) for name in PARTS}
    scores = [
        BenchmarkScore(f"{name}: memory", (part.peak_mb,), _MOST_MB, at_least=False, unit=" MB")
        for name, part in parts.items()
    ]
    return BenchmarkResult(
        workload=f"{shards} shards of {SHARD_SIZE} pairs whose records are made up; each part in a "
        "process of its own, memory at most above that at its start, processor time with that of "
        "making records up",
        peer="none: the limit is what a small head node can spare",
        scores=tuple(scores),
        metadata={f"cpu_s_{name}": part.cpu_s for name, part in parts.items()}
        | {"manifest_MB": _manifest_mb(min(shards, 1000)) * shards / min(shards, 1000)},
    )


def _measure_part(name: str, shards: int) -> Part:
    """Run one part in a new process."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(_measured, name, shards).result()


def _manifest_mb(shards: int) -> float:
    """Return the size of a manifest of so many shards, in MB."""
    return len(_with_manifest(shards).written[layout.MANIFEST]) / 1e6


def _measured(name: str, shards: int) -> Part:
    work = PARTS[name](shards)
    gc.collect()
    start_s = time.process_time()
    peak_mb = peak_above_start_mb(work)
    return Part(time.process_time() - start_s, peak_mb)


Work = Callable[[], Any]


def _resume(shards: int) -> Work:
    store = RecordedStore(shards, done=shards // 2)
    store.entries(layout.SHARDS)  # the one tar is made beforehand
    return lambda: open_ledger(store, store.plan, Policy())


def _drive(shards: int) -> Work:
    """Let the real driver make all shards with a thousand simulated workers."""
    store = RecordedStore(shards, done=0)
    behaviour = WorkerBehaviour(sample_s=1 / 4.6)
    fleet = SimulatedFleet(store.plan, behaviour, keep_history=False)

    def run() -> None:
        ledger = open_ledger(store, store.plan, Policy())
        driver = Driver(store, ledger, fleet, _WORKERS, lambda _: None, fleet.clock)
        assert driver.run(lambda: False) and driver.work.shards_made == shards

    return run


def _finish(shards: int) -> Work:
    store = RecordedStore(shards, done=shards)
    store.entries(layout.SHARDS)

    def run() -> None:
        account = complete(store, store.plan)
        assert account.committed == store.plan.samples and store.exists(layout.MANIFEST)

    return run


def _ask_status(shards: int) -> Work:
    store = RecordedStore(shards, done=shards - 1)
    store.entries(layout.SHARDS)
    return lambda: read_status(store, now_s=0.0)


def _open(shards: int) -> Work:
    """Open the dataset as a rank does, and find its first and its middle batch."""
    # Written by another process, so that its memory does not count here.
    store = RecordedStore(shards, done=shards)
    store.written[layout.MANIFEST] = _manifest_elsewhere(shards)

    def run() -> None:
        manifest, sha256 = read_hashed_manifest(store)
        check_manifest(manifest, store.url)
        dataset = PublishedDataset(store, manifest, sha256, None)
        order = Order(dataset.sizes, _BATCH, seed=0)
        for step in (0, order.steps // 2):
            assert len(order.places(step)) == _BATCH

    return run


def _manifest_elsewhere(shards: int) -> bytes:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_manifest_bytes, shards).result()


def _manifest_bytes(shards: int) -> bytes:
    return _with_manifest(shards).written[layout.MANIFEST]


def _with_manifest(shards: int) -> RecordedStore:
    store = RecordedStore(shards, done=shards)
    account: Account = read_account(store, store.plan)
    write_manifest(store, build_manifest(store.plan, account))
    return store


PARTS: dict[str, Callable[[int], Work]] = {
    "resume": _resume,
    "driver": _drive,
    "finish": _finish,
    "status": _ask_status,
    "open": _open,
}
