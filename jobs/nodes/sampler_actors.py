"""Samples of one-shot training, made by actors ahead of the training that uses them up.

Sampling is most of a training's time and depends on nothing that is learned. A batch is the same
wherever it is made, so that actors may come, go and be lost: what none of them has begun when it is
wanted the training makes itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
import torch

from jobs.nodes.cluster import Share
from jobs.nodes.models import Models
from jobs.runtime.devices import choose_machine
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.sampling import Sample
from pipeline.events import OnEvent
from pipeline.storage.node_cache import NodeCache
from training.oneshot.samples import GeneratedSamples, Samples

# Sampling is most of the time, learning the rest: more actors than this would wait (docs/scale.md).
_MOST_ACTORS = 9
# Batches that an actor has under way or done: the next is begun while the last is fetched.
_BATCHES_AN_ACTOR = 2
# Actors that were lost are replaced so many times each, on average.
_REPLACEMENTS = 3


@dataclass(frozen=True)
class SamplerActors:
    """Spreads samples over the workers of a share that the training itself leaves free.

    Attributes:
        models: of the recipe, whose backbone each actor loads.
        cache: of an actor's node.
        dtype: of the backbone's numbers.
        on_event: listens to `teach.samplers` and to `teach.sampler_lost`.
    """

    models: Models
    cache: NodeCache
    share: Share
    dtype: torch.dtype
    on_event: OnEvent

    @contextmanager
    def __call__(self, samples: GeneratedSamples, count: int) -> Iterator[Samples]:
        """Give the same samples, 0 to count - 1, made wherever there is room."""
        actors = min(self.share.workers - 1, _MOST_ACTORS)
        if actors < 1:
            yield samples
            return
        spread = _SpreadSamples(self, samples, count, actors)
        try:
            yield spread
        finally:
            spread.close()


class _SpreadSamples:
    """The batches of a training in their order, each made by an actor or, failing that, here."""

    def __init__(
        self, asked: SamplerActors, samples: GeneratedSamples, count: int, actors: int
    ) -> None:
        self._asked, self._samples, self._count = asked, samples, count
        self._num_actors = actors
        self._replacements = _REPLACEMENTS * actors
        self._unloaded: Any = None  # the samples without their backbone, which an actor loads
        self._starting: dict[Any, Any] = {}  # actors by their answers to `load`
        self._free: list[Any] = []  # an actor for each batch that it may begin
        self._begun: dict[int, tuple[Any, Any]] = {}  # answer and actor by a batch's first sample
        self._made: dict[int, Sample] = {}  # batches that were made here, ahead of their turn

    def chunk_of(self, index: int) -> range:
        """Return the batch that sample `index` comes in."""
        return self._samples.chunk_of(index)

    def make(self, indices: Sequence[int]) -> Sample:
        """Return a batch from where it was made; the device is that of the samples."""
        first = indices[0]
        if self._unloaded is None:
            # Not before: a training that is finished makes no sample.
            self._start()
        while True:
            self._hand_out(first)
            if (made := self._made.pop(first, None)) is not None:
                return made
            if first not in self._begun:
                return self._samples.make(indices)
            answer, actor = self._begun[first]
            if ray.wait([answer], timeout=0)[0] or not self._make_ahead(first):
                if (sample := self._fetch(first, answer, actor)) is not None:
                    return sample

    def close(self) -> None:
        """End all actors."""
        for actor in {*self._starting.values(), *self._free, *(a for _, a in self._begun.values())}:
            ray.kill(actor)

    def _start(self) -> None:
        self._asked.on_event("teach.samplers", actors=self._num_actors)
        self._unloaded = ray.put(replace(self._samples, backbone=None))  # type: ignore[arg-type]
        for _ in range(self._num_actors):
            self._start_actor()

    def _start_actor(self) -> None:
        share = self._asked.share
        kind: Any = ray.remote(_Sampler)
        actor = kind.options(num_cpus=1, num_gpus=share.gpus, max_concurrency=1).remote(
            self._asked.models, self._asked.cache, share.device, self._asked.dtype
        )
        loaded = actor.load.remote(self._unloaded, self._samples.backbone.fingerprint)
        self._starting[loaded] = actor

    def _hand_out(self, first: int) -> None:
        """Let actors that have loaded begin the next batches from `first` on."""
        loaded, _ = ray.wait(list(self._starting), num_returns=len(self._starting), timeout=0)
        for answer in loaded:
            actor = self._starting.pop(answer)
            try:
                ray.get(answer)
            except ray.exceptions.RayActorError:
                self._replace(actor)
            else:
                self._free += [actor] * _BATCHES_AN_ACTOR
        while self._free and (batch := self._next_batch(first)) is not None:
            actor = self._free.pop(0)
            self._begun[batch[0]] = (actor.make.remote(list(batch)), actor)

    def _next_batch(self, first: int) -> range | None:
        """Return the first batch from sample `first` on that nobody has begun."""
        batch = self._samples.chunk_of(first)
        while batch.start < self._count:
            if batch.start not in self._begun and batch.start not in self._made:
                return batch
            batch = self._samples.chunk_of(batch.stop)
        return None

    def _make_ahead(self, first: int) -> bool:
        """Make one batch here instead of waiting; False where there is none or too many."""
        batch = self._next_batch(first)
        if batch is None or self._made:
            return False
        self._made[batch.start] = self._samples.make(batch)
        return True

    def _fetch(self, first: int, answer: Any, actor: Any) -> Sample | None:
        """Wait for an actor's batch; None where the actor is lost, and its batches with it."""
        try:
            made: Sample = ray.get(answer)
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
            self._replace(actor)
            return None
        del self._begun[first]
        self._free.append(actor)
        device = self._samples.backbone.device
        return Sample(made.images.to(device), made.latents.to(device), made.taps.to(device))

    def _replace(self, actor: Any) -> None:
        """Take a lost actor's batches back, and start another, as long as that has helped."""
        self._free = [other for other in self._free if other != actor]
        self._begun = {first: (a, of) for first, (a, of) in self._begun.items() if of != actor}
        ray.kill(actor)
        self._asked.on_event("teach.sampler_lost", replacements_left=self._replacements)
        if self._replacements > 0:
            self._replacements -= 1
            self._start_actor()


class _Sampler:
    """Makes batches on one node."""

    def __init__(self, models: Models, cache: NodeCache, device: str, dtype: torch.dtype) -> None:
        self._models, self._cache, self._dtype = models, cache, dtype
        self._device = device
        self._samples: GeneratedSamples | None = None

    def load(self, samples: GeneratedSamples, fingerprint: dict[str, str]) -> None:
        """Load the backbone; ValueError if it is not that of the training."""
        torch.set_num_threads(1)
        machine = choose_machine(self._device)
        backbone = load_backbone(
            self._models.find("backbone", self._cache), machine.device, self._dtype
        )
        if backbone.fingerprint != fingerprint:
            raise ValueError(
                f"node {socket.gethostname()} has another backbone than the node that trains: "
                f"expected the same files at {self._models.backbone} on both"
            )
        self._samples = replace(samples, backbone=backbone)

    def make(self, indices: Sequence[int]) -> Sample:
        """Make a batch, for the way on the CPU."""
        assert self._samples is not None, "loaded before"
        made = self._samples.make(indices)
        return Sample(made.images.cpu(), made.latents.cpu(), made.taps.to("cpu"))
