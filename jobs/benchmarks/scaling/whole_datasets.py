"""Benchmark `scale`: a whole dataset planned, generated on Ray, verified and read back once.

The teacher is a stand-in of some milliseconds a pair, so that thirty thousand pairs take minutes:
the benchmark is of everything around the teacher.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, seconds_of
from jobs.benchmarks.memory import MemoryLog, growth, watching
from jobs.benchmarks.standins.pictures import SceneTeacher, plan_for
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import choose_machine
from pipeline.arrays import Pixels
from pipeline.dataset.plan import Plan
from pipeline.events import ignore
from pipeline.generation.ray_actors import generate
from pipeline.generation.summary import Summary
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from pipeline.storage.address import open_store
from pipeline.upkeep.verify import Verdict, verify

_SIDE = 128
_SHARD_SIZE = 128
_BATCH = 16
_READER_BATCH = 8
# Of the pairs that are read back, one in this many is compared with the teacher's, pixel by pixel.
_COMPARE_EVERY = 100


def measure_scale(effort: Effort) -> BenchmarkResult:
    """Make `effort.pairs` pairs with one worker a core; once, without rounds and without a peer."""
    side, shard_size = (32, 16) if effort.tiny else (_SIDE, _SHARD_SIZE)
    machine = choose_machine("cpu")
    plan = plan_for(effort.pairs, shard_size, _BATCH)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        with ray_runtime(machine), watching(0.1 if effort.tiny else 1.0) as memory:
            summary = _generate(plan, temp, side, machine.num_cpus)
        verdicts: list[Verdict] = []
        verifying_s = seconds_of(lambda: verdicts.append(verify(open_store(temp), ignore)))
        reads: list[_ReadBack] = []
        reading_s = seconds_of(lambda: reads.append(_read_back(temp, plan, SceneTeacher(side))))
    seconds = {"generate": [summary.elapsed_s], "verify": [verifying_s], "read": [reading_s]}
    return BenchmarkResult(
        workload=f"{plan.samples} scenes of {side} px in {plan.num_shards} shards by "
        f"{machine.num_cpus} Ray actors to a local folder; verified; read back once",
        peer="none: the counts speak for themselves",
        scores=_scores(plan, summary, verdicts[0], reads[0], memory),
        seconds=seconds,
        metadata={
            "pairs_per_s": summary.pairs_per_s,
            "waiting_share": summary.waiting_share,
            "retries": summary.retries,
            "workers_lost": summary.workers_lost,
            "duplicates": summary.duplicates,
            "megabytes": summary.bytes_made / 1e6,
            "compared_with_the_teacher": reads[0].compared,
            "driver_mb": _thinned(memory.driver_mb),
            "largest_actor_mb": _thinned(memory.actor_mb),
        },
    )


@dataclass(frozen=True)
class _ReadBack:
    """One epoch of the reader: how many pairs, how many different ones, how many compared."""

    pairs: int
    different: int
    compared: int
    wrong: int


def _generate(plan: Plan, folder: str, side: int, workers: int) -> Summary:
    def factory() -> SceneTeacher:
        return SceneTeacher(side)

    return generate(plan, open_store(folder), factory, workers, 0.0, ignore)


def _scores(
    plan: Plan, summary: Summary, verdict: Verdict, read: _ReadBack, memory: MemoryLog
) -> tuple[BenchmarkScore, ...]:
    def exact(name: str, wrong: float) -> BenchmarkScore:
        return BenchmarkScore(name, (wrong,), 0, at_least=False, unit="")

    def flat(name: str, samples_mb: list[float]) -> BenchmarkScore:
        return BenchmarkScore(name, (growth(samples_mb),), 1.05, at_least=False)

    return (
        exact("pairs planned but not committed", plan.samples - summary.committed),
        exact("faults that verify found", len(verdict.faults)),
        exact("pairs not read back", plan.samples - read.pairs),
        exact("pairs read back twice", read.pairs - read.different),
        exact("pairs other than the teacher's", read.wrong),
        flat("driver's memory, last quarter to second", memory.driver_mb),
        flat("largest actor's memory, last quarter to second", memory.actor_mb),
    )


def _read_back(folder: str, plan: Plan, teacher: SceneTeacher) -> _ReadBack:
    """Read a dataset once and compare it with what its teacher makes."""
    seen: set[bytes] = set()
    pairs = compared = wrong = 0
    for index, image, sketch in _all_pairs(folder, plan):
        pairs += 1
        seen.add(hashlib.sha256(image.tobytes() + sketch.tobytes()).digest())
        if index % _COMPARE_EVERY == 0:
            (made,) = teacher.pairs([plan.spec(index)])
            same = np.array_equal(made.image, image) and np.array_equal(made.sketch, sketch)
            compared, wrong = compared + 1, wrong + (not same)
    return _ReadBack(pairs, len(seen), compared, wrong)


def _all_pairs(folder: str, plan: Plan) -> Iterator[tuple[int, Pixels, Pixels]]:
    """Yield index, image and sketch of one epoch, through the training reader."""
    with tempfile.TemporaryDirectory(prefix="onesketch-cache-") as cache:
        dataset = PublishedDataset.open(folder, Path(cache))
        # An epoch drops what does not fill a batch: the batch must divide the dataset.
        batch = _READER_BATCH if plan.samples % _READER_BATCH == 0 else 1
        order = Order(dataset.sizes, batch, seed=0)
        reader = Reader(dataset, order, flip=False, threads=2)
        for step, (images, sketches) in enumerate(reader.batches(0, order.steps)):
            for (shard, position), image, sketch in zip(
                order.places(step), images, sketches, strict=True
            ):
                yield int(shard) * plan.shard_size + int(position), image, sketch


def _thinned(samples: list[float], most: int = 20) -> list[float]:
    """Return at most `most` of the samples, evenly spaced."""
    every = -(-len(samples) // most)
    return [round(value, 1) for value in samples[:: max(every, 1)]]
