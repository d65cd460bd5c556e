"""Samples by actors: bit by bit those that the training would make, whatever becomes of actors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import ray
import torch

from jobs.nodes.cluster import Share
from jobs.nodes.models import Models
from jobs.nodes.sampler_actors import SamplerActors
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.sampling import Sample
from pipeline.storage.node_cache import NodeCache
from tests.standins import tiny_spec
from training.oneshot.loop import generated_samples
from training.oneshot.samples import GeneratedSamples

pytestmark = pytest.mark.ray
COUNT = 24  # in batches of 2
PATIENCE_S = 60


class Watched(GeneratedSamples):
    """Notes what this process makes."""

    made_here: ClassVar[list[int]] = []

    def make(self, indices: Sequence[int]) -> Sample:
        self.made_here.append(indices[0])
        time.sleep(0.2)  # so that actors have their chance on a machine of few cores
        return super().make(indices)


@pytest.fixture(scope="module")
def backbone(tiny_backbone_folder: Path) -> Backbone:
    return load_backbone(tiny_backbone_folder)


@pytest.fixture
def samples(
    backbone: Backbone, tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> GeneratedSamples:
    return generated_samples(tiny_spec.build(backbone, tmp_path_factory.mktemp("encoders")))


@pytest.fixture
def watched(samples: GeneratedSamples) -> Watched:
    Watched.made_here.clear()
    return Watched(**{field.name: getattr(samples, field.name) for field in fields(samples)})


@pytest.fixture
def actors(tiny_backbone_folder: Path, tmp_path: Path, local_ray: None) -> SamplerActors:
    return SamplerActors(
        Models(str(tiny_backbone_folder), "embedded", "embedded"),
        NodeCache(tmp_path / "cache"),
        Share(workers=3, gpus=0.0, device="cpu"),
        torch.float32,
        Events(),
    )


class Events(list[str]):
    def __call__(self, name: str, **_: Any) -> None:
        self.append(name)


def all_batches(samples: Any) -> list[Sample]:
    return [samples.make(samples.chunk_of(first)) for first in range(0, COUNT, 2)]


def assert_same_bits(found: Sequence[Sample], expected: Sequence[Sample]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.latents, other.latents)
        assert one.taps.unet.keys() == other.taps.unet.keys()
        pairs = [*zip(one.taps.vae, other.taps.vae, strict=True)]
        for t in one.taps.unet:
            pairs += zip(one.taps.unet[t], other.taps.unet[t], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def sampler_pids() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any("_Sampler" in word for word in process.info["cmdline"] or ())
    ]


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s, "nothing came of it"
        time.sleep(0.1)


def test_batches_of_actors_are_those_made_here(
    actors: SamplerActors, samples: GeneratedSamples, watched: Watched
) -> None:
    with actors(watched, COUNT) as spread:
        assert spread.chunk_of(3) == range(2, 4)
        first = spread.make(range(2))  # made here: no actor has loaded yet
        wait_until(lambda: len(ray.wait(list(spread._starting), num_returns=2)[0]) == 2)
        found = [first, *all_batches(spread)[1:]]
    assert_same_bits(found, all_batches(samples))
    assert 0 in watched.made_here and len(watched.made_here) < COUNT // 2
    wait_until(lambda: not sampler_pids())


def test_lost_actors_cost_time_alone(
    actors: SamplerActors, samples: GeneratedSamples, watched: Watched
) -> None:
    found: list[Sample] = []
    with actors(watched, COUNT) as spread:
        for first in range(0, COUNT, 2):
            found.append(spread.make(spread.chunk_of(first)))
            if first == COUNT // 2:
                wait_until(lambda: len(sampler_pids()) == 2)  # at work or still loading
                for pid in sampler_pids():
                    os.kill(pid, signal.SIGKILL)
    assert_same_bits(found, all_batches(samples))
    assert isinstance(actors.on_event, Events) and "teach.sampler_lost" in actors.on_event


def test_an_actor_with_another_backbone_is_refused(
    actors: SamplerActors, samples: GeneratedSamples
) -> None:
    other = replace(samples.backbone, fingerprint={"unet/config.json": "0" * 64})
    with (
        actors(replace(samples, backbone=other), 10_000) as spread,
        pytest.raises(ValueError, match=r"node \S+ has another backbone"),
    ):
        wait_until(lambda: not all_batches(spread))


def test_a_training_with_all_there_is_makes_its_own(
    actors: SamplerActors, samples: GeneratedSamples
) -> None:
    alone = replace(actors, share=Share(workers=1, gpus=0.0, device="cpu"))
    with alone(samples, COUNT) as spread:
        assert spread is samples
