"""The inside of a worker, without Ray: one thread samples while others encode and upload."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.dataset.commit import Commit
from pipeline.dataset.encode import EncodedPair, encode_pair
from pipeline.dataset.plan import Plan, PlanMismatchError
from pipeline.generation.fleet import Report
from pipeline.publishing.publish import publish, recover
from pipeline.storage.store import Store

if TYPE_CHECKING:
    # Only for its type: the module imports torch.
    from pipeline.teachers.teacher import Teacher


@dataclass(frozen=True)
class _SampledShard:
    """A shard on its way through the encoder; times in seconds, of the sampling thread."""

    encoded: tuple[Future[EncodedPair], ...]
    sampling_s: float
    waiting_s: float


class ShardMaker:
    """Makes shards in two steps, `sample` and `publish`, which overlap for different shards.

    A single thread makes all calls of the teacher, including its construction: compiled models and
    CUDA graphs are bound to a thread.
    """

    def __init__(self, plan: Plan, store: Store, teacher_factory: Callable[[], Teacher]) -> None:
        self.plan = plan
        self.store = store
        self.progress = 0
        self._sampling = ThreadPoolExecutor(1, "sampling")
        self._encoding = ThreadPoolExecutor(1, "encoding")
        # Its first shard needs it, and would wait for seconds while it is imported.
        importlib.import_module("webdataset")
        self._teacher = self._sampling.submit(teacher_factory).result()
        _check_fingerprint(plan, self._teacher.fingerprint)
        self._sampled: dict[int, _SampledShard] = {}
        self._recovered: dict[int, Commit] = {}
        self._idle_since_s = time.monotonic()

    def sample(self, shard: int, excluded: frozenset[int], begun: bool) -> None:
        """Make a shard's samples and queue them for encoding.

        Args:
            excluded: samples that were given up.
            begun: first check whether part of the shard is in the store, and continue from there.
        """
        if begun and (commit := recover(self.store, self.plan, shard)):
            self._recovered[shard] = commit
            return
        batches = [
            [index for index in batch if index not in excluded]
            for batch in self.plan.batches(shard)
        ]
        self._sampled[shard] = self._sampling.submit(self._make, batches).result()

    def publish(self, shard: int) -> Report:
        """Wait until a sampled shard is encoded, then publish it."""
        if shard in self._recovered:
            return Report(self._recovered.pop(shard), sampling_s=0.0, waiting_s=0.0, made=False)
        sampled = self._sampled.pop(shard)
        pairs = [future.result() for future in sampled.encoded]
        published = publish(self.store, self.plan, shard, pairs)
        self.progress += 1
        # Another run on the same dataset may have been first: what it made is not counted twice.
        return Report(
            published.commit, sampled.sampling_s, sampled.waiting_s, made=published.is_new
        )

    def try_samples(self, indices: Sequence[int]) -> None:
        """Make and encode samples of one shard in their batches, and discard them."""
        wanted = set(indices)
        shard = indices[0] // self.plan.shard_size
        batches = [
            [index for index in batch if index in wanted] for batch in self.plan.batches(shard)
        ]
        for future in self._sampling.submit(self._make, batches).result().encoded:
            future.result()

    def _make(self, batches: Sequence[Sequence[int]]) -> _SampledShard:
        start_s = time.monotonic()
        waiting_s = start_s - self._idle_since_s
        encoded: list[Future[EncodedPair]] = []
        for batch in filter(None, batches):
            pairs = self._teacher.pairs([self.plan.spec(index) for index in batch])
            made = [pair.index for pair in pairs]
            if made != list(batch):
                raise ValueError(f"the teacher was asked for the samples {batch} but made {made}")
            encoded += [self._encoding.submit(encode_pair, pair) for pair in pairs]
            self.progress += 1
        self._idle_since_s = time.monotonic()
        return _SampledShard(tuple(encoded), self._idle_since_s - start_s, waiting_s)


def _check_fingerprint(plan: Plan, fingerprint: Mapping[str, str]) -> None:
    names = sorted(plan.fingerprints.keys() | fingerprint.keys())
    different = [name for name in names if plan.fingerprints.get(name) != fingerprint.get(name)]
    if different:
        raise PlanMismatchError(
            f"this worker's teacher is not the plan's: {', '.join(different)} differ; copy the "
            "same taught files to all nodes, or generate into another dataset.out"
        )
