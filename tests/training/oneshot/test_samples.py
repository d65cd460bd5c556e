"""Generated samples: each a function of its address, in batches of fixed indices."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from pipeline.diffusion.backbone import load_backbone
from tests.standins import tiny_spec
from training.oneshot.loop import prepare
from training.oneshot.samples import GeneratedSamples


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
