"""What a dataset will take, from a short trial of its teacher.

A trial makes a few of the plan's own batches, spread over it, and times them as a worker would: one
thread samples while another encodes, so that the slower of the two sets the pace.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.dataset.commit import Commit, describe_file
from pipeline.dataset.encode import EncodedPair, encode
from pipeline.dataset.index import build_index
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import build_shard, list_members

if TYPE_CHECKING:
    # Only for its type: the module brings torch and diffusers with it.
    from pipeline.teachers.teacher import Teacher

SECONDS_PER_HOUR = 3600.0
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Measured:
    """Some measurements of one quantity."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 for a single one, of which it is not known."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def margin(self) -> float:
        """Two standard errors of the mean, as a share of it."""
        return _STANDARD_ERRORS * self.deviation / math.sqrt(len(self.values)) / self.mean


@dataclass(frozen=True)
class Trial:
    """What a trial measured: seconds a pair of each batch timed, bytes of each pair in a shard.

    `load_s` is what a worker needs before its first batch, in seconds: loading and warming up.
    """

    sampling_s: Measured
    encoding_s: Measured
    pair_bytes: Measured
    load_s: float

    @property
    def pace_s(self) -> Measured:
        """Seconds a pair of the slower of the two threads."""
        return max(self.sampling_s, self.encoding_s, key=lambda measured: measured.mean)


@dataclass(frozen=True)
class Estimate:
    """What is left of a plan: pairs, shards, bytes, and times for a number of workers.

    `busy_h` are hours of work, `wall_h` the time from start to end; `paid_h`, all workers from
    start to end, is more than `busy_h` because the last shards do not come out even.
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
    """Load a teacher and time batches of a plan, after one that is not timed.

    Args:
        num_batches: to time, fewer if they take longer than `budget_s` together (but one).
    """
    start_s = clock()
    teacher = load()
    first, *rest = _spread(plan, num_batches + 1)
    made = [encode(pair) for pair in teacher.pairs([plan.spec(index) for index in first])]
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
        made += [encode(pair) for pair in pairs]
        sampling.append((between_s - before_s) / len(batch))
        encoding.append((clock() - between_s) / len(batch))
    sizes = tuple(_sizes(plan, made))
    return Trial(Measured(tuple(sampling)), Measured(tuple(encoding)), Measured(sizes), load_s)


def estimate(plan: Plan, trial: Trial, workers: int, done: Sequence[int] = ()) -> Estimate:
    """Work out what the shards take that are not `done` yet.

    Shards are dealt out one by one, so that the longest worker makes ceil(shards / workers).
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
    """Choose batches at even distances, each made whole as in its shard."""
    steps = max(count - 1, 1)
    found = []
    for at in sorted({number * (plan.samples - 1) // steps for number in range(count)}):
        batches = plan.batches(at // plan.shard_size)
        found.append(next(batch for batch in batches if batch[0] <= at <= batch[-1]))
    return [batch for n, batch in enumerate(found) if batch not in found[:n]]


def _sizes(plan: Plan, pairs: Sequence[EncodedPair]) -> Iterator[float]:
    """Bytes that each pair takes of the store, with its share of index and commit record."""
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
        # A header each, and contents filled up to whole blocks.
        yield share + sum(512 + len(content) + -len(content) % 512 for _, content in pair.members)
