"""Benchmark `pipeline`: from plan to manifest, against Ray Data; also with one actor killed.

Every run has a process and a private Ray of its own, so that its memory is its own too. The time
that Ray takes to start does not count.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, ratios
from jobs.benchmarks.memory import watching_tree
from jobs.benchmarks.peers.ray_data import make_with_ray_data
from jobs.benchmarks.standins.pictures import SleepingTeacher, plan_for
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import choose_machine
from pipeline.dataset import layout
from pipeline.dataset.plan import Plan
from pipeline.events import ignore
from pipeline.generation.ray_actors import generate
from pipeline.pair import Pair, SampleSpec
from pipeline.storage.address import open_store

_SIDE, _SAMPLE_S = 512, 0.05
_SAMPLES, _SHARD_SIZE, _BATCH = 768, 64, 8
_WORKERS = 2
# Ray Data's writing tasks ask for processors of their own, and wait for ever where there are none.
_CPUS = 2 * _WORKERS
_LOOK_S = 0.05

Side = Literal["ours", "peer"]


@dataclass(frozen=True)
class Job:
    """What both sides make: pictures of `side` pixels, for which a worker sleeps `sample_s`."""

    samples: int = _SAMPLES
    shard_size: int = _SHARD_SIZE
    side: int = _SIDE
    sample_s: float = _SAMPLE_S

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return plan_for(self.samples, self.shard_size, _BATCH)


@dataclass(frozen=True)
class PipelineRun:
    """What one run took, and what became of the planned pairs.

    `sampled` counts the pairs that were made, also those made twice; `lost` are in no tar, and
    `doubled` in more than one place. Memory in MB, of all processes of the run, Ray's included.
    """

    seconds: float
    peak_mb: float
    sampled: int
    lost: int
    doubled: int


def measure_pipeline(effort: Effort) -> BenchmarkResult:
    """Run both sides in turns, undisturbed and with an actor killed half-way."""
    job = Job(32, 8, 64, 0.01) if effort.tiny else Job()
    runs: dict[tuple[Side, bool], list[PipelineRun]] = {}
    for number in range(effort.rounds):
        for killed in (False, True):
            sides: list[Side] = ["ours", "peer"]
            for side in sides if number % 2 == 0 else reversed(sides):
                runs.setdefault((side, killed), []).append(_run_pipeline(job, side, killed))
    return BenchmarkResult(
        workload=f"{job.samples} pairs of {job.side} px in shards of {job.shard_size} by "
        f"{_WORKERS} Ray actors whose teacher sleeps {job.sample_s * 1e3:.0f} ms a pair, to a "
        "local folder, actors' start included; undisturbed, and with kill -9 of an actor's process "
        "half-way",
        peer="Ray Data: the same teacher and encoder in map_batches over a pool of actors, then "
        "write_webdataset; it writes tars only, without index, hashes or manifest",
        scores=(*_comparisons(runs), *_counts(runs)),
        seconds={
            f"{side}{', killed' if killed else ''}": [run.seconds for run in found]
            for (side, killed), found in sorted(runs.items())
        },
        metadata=_facts(job, runs),
    )


def _run_pipeline(job: Job, side: Side, killed: bool) -> PipelineRun:
    """Let one side make a job in a process of its own; with `killed` one actor dies half-way."""
    spawned = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp,
        ProcessPoolExecutor(1, mp_context=spawned) as pool,
    ):
        out, log = Path(temp) / "out", Path(temp) / "sampled"
        log.touch()
        with watching_tree(pool.submit(os.getpid).result(), 0.25) as peak:
            seconds = pool.submit(_make, job, side, str(out), log, killed).result()
        found = _count_keys(out / layout.SHARDS if side == "ours" else out)
        planned = {layout.sample_key(index) for index in range(job.samples)}
        return PipelineRun(
            seconds,
            peak.mb,
            sampled=len(_sampled(log)) * _BATCH,
            lost=len(planned - found.keys()),
            doubled=sum(times > 1 for times in found.values()),
        )


class LoggedTeacher(SleepingTeacher):
    """Notes which process makes a batch, before it does."""

    def __init__(self, job: Job, log: Path) -> None:
        super().__init__(job.side, job.sample_s)
        self.log = log

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs."""
        with self.log.open("ab", buffering=0) as file:
            file.write(b"%d\n" % os.getpid())
        return super().pairs(specs)


def _make(job: Job, side: Side, out: str, log: Path, killed: bool) -> float:
    """Make a job's pairs; return the seconds that it took."""
    machine = replace(choose_machine("cpu"), num_cpus=_CPUS)
    factory = partial(LoggedTeacher, job, log)
    with ray_runtime(machine):
        if killed:
            half = job.samples // _BATCH // 2
            threading.Thread(target=_kill_an_actor, args=(log, half), daemon=True).start()
        start_s = time.perf_counter()
        if side == "ours":
            generate(job.plan, open_store(out), factory, _WORKERS, 0.0, ignore)
        else:
            make_with_ray_data(job.plan, out, factory, _WORKERS)
        return time.perf_counter() - start_s


def _kill_an_actor(log: Path, batches: int) -> None:
    """Kill the process that begins a batch once so many were begun."""
    while len(begun := _sampled(log)) < batches:
        time.sleep(_LOOK_S)
    os.kill(begun[-1], signal.SIGKILL)


def _sampled(log: Path) -> list[int]:
    """List the process of each batch so far; a line that is being written does not count."""
    return [int(line) for line in log.read_bytes().rpartition(b"\n")[0].split()]


def _count_keys(folder: Path) -> Counter[str]:
    """Count in how many places each key is, by its images."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            names = tar.getnames()
        found.update(name.split(".")[0] for name in names if name.endswith(layout.IMAGE_SUFFIX))
    return found


_Runs = dict[tuple[Side, bool], list[PipelineRun]]


def _comparisons(runs: _Runs) -> list[BenchmarkScore]:
    scores = []
    for killed, words in ((False, "undisturbed"), (True, "an actor killed")):
        ours, peer = runs["ours", killed], runs["peer", killed]
        faster = ratios([run.seconds for run in peer], [run.seconds for run in ours])
        scores.append(BenchmarkScore(f"times as fast, {words}", faster, 1.0, at_least=True))
        memory = ratios([run.peak_mb for run in ours], [run.peak_mb for run in peer])
        scores.append(BenchmarkScore(f"memory of the peer's, {words}", memory, 1.0, at_least=False))
    return scores


def _counts(runs: _Runs) -> list[BenchmarkScore]:
    ours = [run for killed in (False, True) for run in runs["ours", killed]]
    wrong = tuple(run.lost + run.doubled for run in ours)
    return [BenchmarkScore("pairs lost or doubled", wrong, 0, at_least=False, unit="")]


def _facts(job: Job, runs: _Runs) -> dict[str, list[float]]:
    facts: dict[str, list[float]] = {}
    for (side, killed), found in sorted(runs.items()):
        words = f"{side}_killed" if killed else side
        facts[f"pairs_per_s_{words}"] = [job.samples / run.seconds for run in found]
        facts[f"peak_MB_{words}"] = [run.peak_mb for run in found]
        facts[f"lost_{words}"] = [run.lost for run in found]
        facts[f"doubled_{words}"] = [run.doubled for run in found]
        facts[f"made_again_{words}"] = [run.sampled - job.samples for run in found]
    return facts
