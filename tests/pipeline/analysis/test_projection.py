"""The streamed projection: linear, deterministic, and true to exact distances."""

from __future__ import annotations

import math

import pytest
import torch

from pipeline.analysis import projection
from pipeline.analysis.projection import Projection

LENGTHS = (3000, 777, 4096)
DIMS = 256


def features(count: int, seed: int) -> list[torch.Tensor]:
    """Smooth maps with a few strong channels, which defeat a projection that is not random."""
    draw = torch.Generator().manual_seed(seed)
    made = []
    for length in LENGTHS:
        x = torch.randn(count, length, generator=draw).cumsum(1) / 30
        x[:, ::64] *= 20
        made.append(x)
    return made


def test_distances_stay_within_the_bound() -> None:
    x = features(40, seed=0)
    exact = torch.pdist(torch.cat(x, 1).double())
    errors = []
    for seed in range(8):
        y = Projection(LENGTHS, DIMS, seed)(x, torch.ones(3)).double()
        errors.append((torch.pdist(y) / exact).square() - 1)
    found = torch.cat(errors)
    # Var |P x|^2 <= 2 / D |x|^4: over seeds and pairs, deviation and bias stay inside.
    assert found.square().mean().sqrt() < 1.15 * math.sqrt(2 / DIMS)
    assert abs(found.mean()) < 3 * math.sqrt(2 / DIMS / 8)
    assert found.abs().max() < 6 * math.sqrt(2 / DIMS)


def test_it_is_a_signed_permutation_of_every_block() -> None:
    one = Projection((DIMS * 3,), DIMS, seed=1)
    matrix = one([torch.eye(DIMS * 3)], torch.ones(1))  # (N, D), row n is where value n goes
    assert (matrix.abs().sum(1) == 1).all()
    for block in matrix.abs().split(DIMS):
        assert (block.sum(0) == 1).all()


def test_weights_multiply_their_layers() -> None:
    x, weights = features(2, seed=3), torch.tensor([0.5, 0.0, 3.0])
    project = Projection(LENGTHS, DIMS, seed=0)
    scaled = [weight * feature for weight, feature in zip(weights, x, strict=True)]
    torch.testing.assert_close(project(x, weights), project(scaled, torch.ones(3)))
    torch.testing.assert_close(project.parts(x).sum(1), project(x, torch.ones(3)))


def test_chunks_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(3, seed=4)
    whole = Projection(LENGTHS, DIMS, seed=7).parts(x)
    monkeypatch.setattr(projection, "_CHUNK_VALUES", DIMS)
    torch.testing.assert_close(Projection(LENGTHS, DIMS, seed=7).parts(x), whole)
    single = Projection(LENGTHS, DIMS, seed=7).parts([feature[1:2] for feature in x])
    torch.testing.assert_close(single, whole[1:2])
    assert not torch.equal(Projection(LENGTHS, DIMS, seed=8).parts(x), whole)


def test_shape_of_taps_does_not_matter() -> None:
    x = features(2, seed=5)
    shaped = [x[0].unflatten(1, (2, 60, 5, 5)), x[1], x[2].unflatten(1, (64, 64))]
    project = Projection(LENGTHS, DIMS, seed=0)
    assert torch.equal(project.parts(shaped), project.parts(x))


def test_the_map_takes_about_a_byte_a_value() -> None:
    made = Projection((10**6, 10**5), 2048, seed=0)
    assert made.size_bytes < 1.02 * 1.1e6


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="expected features of"):
        Projection(LENGTHS, DIMS, seed=0).parts(features(1, 0)[:2])
    with pytest.raises(ValueError, match="needs tensors"):
        Projection((), DIMS, seed=0)
