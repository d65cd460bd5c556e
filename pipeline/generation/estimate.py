"""What a dataset will take, estimated from a short trial of its teacher.

A trial makes a few of the plan's own batches, spread over it, and times sampling and encoding. A
worker does both at the same time in two threads, so that the slower one sets the pace.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.dataset.commit import Commit, describe_file
from pipeline.dataset.encode import EncodedPair, encode_pair
from pipeline.dataset.index import build_index
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import build_shard, list_members

if TYPE_CHECKING:
    # Only for its type: the module imports torch.
    from pipeline.teachers.teacher import Teacher

SECONDS_PER_HOUR = 3600.0
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Measurements:
    """Several measurements of one quantity."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 for a single one, where it is unknown."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def margin(self) -> float:
        """Two standard errors of the mean, as a share of the mean."""
        return _STANDARD_ERRORS * self.deviation / math.sqrt(len(self.values)) / self.mean


@dataclass(frozen=True)
class Trial:
    """What a trial measured.

    `sampling_s` and `encoding_s` are the seconds per pair in each timed batch, `pair_bytes` the
    bytes that each pair takes in the store. `load_s` is what a worker needs for loading and warming
    up, in seconds.
    """

    sampling_s: Measurements
    encoding_s: Measurements
    pair_bytes: Measurements
    load_s: float

    @property
    def pace_s(self) -> Measurements:
        """Seconds per pair of the slower of the two threads."""
        return max(self.sampling_s, self.encoding_s, key=lambda measured: measured.mean)


@dataclass(frozen=True)
class Estimate:
    """What is left of a plan: pairs, shards, bytes, and times for a number of workers.

    `busy_h` is the hours of work and `wall_h` the hours from start to end. `paid_h` counts all
    workers from start to end; it exceeds `busy_h` because workers do not all finish together.
    """

    pairs: int
    shards: int
    size_bytes: float
    busy_h: float
    wall_h: float
    paid_h: float


def run_trial(
    plan: Plan,
    load: Callable[[], Teacher],
    num_batches: int,
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Trial:
    """Load a teacher and time batches of a plan, after a first one that is not timed.

    Args:
        load: loads the teacher.
        num_batches: number of batches to time.
        budget_s: no more batches are started after this time; at least one is timed.
        clock: returns the time in seconds.
    """
    start_s = clock()
    teacher = load()
    first, *rest = _spread(plan, num_batches + 1)
    made = [encode_pair(pair) for pair in teacher.pairs([plan.spec(index) for index in first])]
    load_s = clock() - start_s
    sampling: list[float] = []
    encoding: list[float] = []
    begun_s = clock()
    for batch in rest or [first]:
        if sampling and clock() - begun_s > budget_s:
            break
        before_s = clock()
        pairs = teacher.pairs([plan.spec(index) for index in batch])
        between_s = clock()
        made += [encode_pair(pair) for pair in pairs]
        sampling.append((between_s - before_s) / len(batch))
        encoding.append((clock() - between_s) / len(batch))
    sizes = tuple(_sizes(plan, made))
    return Trial(
        Measurements(tuple(sampling)), Measurements(tuple(encoding)), Measurements(sizes), load_s
    )


def estimate(plan: Plan, trial: Trial, workers: int, done: Sequence[int] = ()) -> Estimate:
    """Estimate what the shards that are not `done` yet will take.

    Shards are assigned one by one, so that the busiest worker makes ceil(shards / workers).
    """
    finished = set(done)
    left = [shard for shard in range(plan.num_shards) if shard not in finished]
    sizes = sorted((len(plan.indices(shard)) for shard in left), reverse=True)
    pairs, pace_s = sum(sizes), trial.pace_s.mean
    workers = min(workers, len(left))
    wall_s = trial.load_s + pace_s * sum(sizes[::workers]) if left else 0.0
    return Estimate(
        pairs=pairs,
        shards=len(left),
        size_bytes=pairs * trial.pair_bytes.mean,
        busy_h=(pairs * pace_s + workers * trial.load_s) / SECONDS_PER_HOUR,
        wall_h=wall_s / SECONDS_PER_HOUR,
        paid_h=workers * wall_s / SECONDS_PER_HOUR,
    )


def _spread(plan: Plan, count: int) -> list[list[int]]:
    """Choose batches at even distances, each complete as in its shard."""
    steps = max(count - 1, 1)
    chosen = []
    for index in sorted({number * (plan.samples - 1) // steps for number in range(count)}):
        batches = plan.batches(index // plan.shard_size)
        chosen.append(next(batch for batch in batches if batch[0] <= index <= batch[-1]))
    return [batch for n, batch in enumerate(chosen) if batch not in chosen[:n]]


def _sizes(plan: Plan, pairs: Sequence[EncodedPair]) -> Iterator[float]:
    """Yield the bytes that each pair takes in the store, with its share of index and commit."""
    once = {pair.index: pair for pair in pairs}
    ordered = [once[index] for index in sorted(once)]
    tar = build_shard(ordered)
    index = build_index(0, tar, list_members(tar))
    file = describe_file("shards/00000.tar", tar)
    record = Commit(
        plan_sha256=plan.sha256, shard=0, tar=file, index=file, pairs=0, quarantined=()
    ).to_bytes()
    share = len(index) / len(ordered) + len(record) / plan.shard_size
    for pair in ordered:
        # A header for each member, and contents padded to whole blocks.
        yield share + sum(512 + len(content) + -len(content) % 512 for _, content in pair.members)
