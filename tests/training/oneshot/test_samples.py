"""Generated samples: each a function of its address, in batches of fixed indices."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.sampling import initial_noise, sample
from pipeline.seeds import generator
from tests.standins import tiny_spec
from training.oneshot.loop import prepare
from training.oneshot.samples import CONDITION_STREAM, NOISE_STREAM, GeneratedSamples


@pytest.fixture(scope="module")
def samples(
    tiny_backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> GeneratedSamples:
    backbone = load_backbone(tiny_backbone_folder)
    folder = tmp_path_factory.mktemp("encoders")
    return prepare(tiny_spec.build(backbone, folder), folder).samples


def test_a_sample_depends_on_its_address_alone(samples: GeneratedSamples) -> None:
    alone, together = samples.make([3]), samples.make([1, 3])
    assert torch.allclose(alone.images[0], together.images[1], atol=1e-4)
    other_seed = dataclasses.replace(samples, seed=samples.seed + 1).make([3])
    assert not torch.allclose(alone.images, other_seed.images, atol=1e-2)


def test_conditions_go_from_the_known_one_to_the_prior(samples: GeneratedSamples) -> None:
    plain = dataclasses.replace(samples, cdst=False)
    indices = [0, 2, 4, 9]  # S = 4
    mixed, drawn = samples.conditions(indices), plain.conditions(indices)
    assert torch.allclose(mixed[0], samples.example)
    halfway = (samples.example + drawn[1]) / 2
    assert torch.allclose(mixed[1], halfway, atol=1e-6)
    assert torch.equal(mixed[2:], drawn[2:])


def test_batches_begin_at_fixed_indices(samples: GeneratedSamples) -> None:
    assert [samples.chunk_of(i) for i in range(5)] == [
        range(0, 2),
        range(0, 2),
        range(2, 4),
        range(2, 4),
        range(4, 6),
    ]


def test_a_dataset_of_the_same_seed_repeats_no_training_sample(samples: GeneratedSamples) -> None:
    """The streams "noise" and "condition" are the dataset's, as its index says of each sample."""
    made = samples.make([3])
    noise = initial_noise(samples.backbone, [generator(samples.seed, 3, "noise")])
    conditions = samples.conditions([3])
    theirs = sample(samples.backbone, conditions, noise, samples.sampling, samples.timesteps)
    assert not torch.allclose(made.images, theirs.images, atol=1e-2)
    assert {NOISE_STREAM, CONDITION_STREAM}.isdisjoint({"noise", "condition"})
