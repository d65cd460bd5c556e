"""CDST against equation 5 written out, and D_SD against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from pipeline import seeds
from pipeline.diffusion import cdst


def embeddings(count: int = 120) -> torch.Tensor:
    rng = np.random.default_rng(3)
    axes = rng.normal(size=(20, 4 * 6)) * np.linspace(2, 0.1, 20)[:, None]
    return torch.tensor(rng.normal(size=(count, 20)) @ axes + 3, dtype=torch.float32).view(-1, 4, 6)


@pytest.mark.parametrize("duration", [1, 7, 1000])
def test_mixing_is_equation_5(duration: int) -> None:
    for i in range(duration + 3):
        share = min(i / duration, 1)
        a, b = math.sqrt(1 - share), math.sqrt(share)
        assert cdst.mixing(i, duration) == pytest.approx((a / (a + b), b / (a + b)), abs=1e-12)
    assert cdst.mixing(0, duration) == (1, 0)
    assert cdst.mixing(duration, duration) == (0, 1)


def test_condition_mixes_the_two() -> None:
    example, drawn = torch.full((2, 3), 4.0), torch.full((2, 3), -2.0)
    assert torch.allclose(cdst.condition(example, drawn, 5, 10), torch.ones(2, 3))
    assert torch.equal(cdst.condition(example, drawn, 0, 10), example)
    assert torch.equal(cdst.condition(example, drawn, 10, 10), drawn)


def test_mixing_refuses_nonsense() -> None:
    for i, duration in [(-1, 5), (0, 0)]:
        with pytest.raises(ValueError, match="CDST needs"):
            cdst.mixing(i, duration)


def test_prior_equals_scikit_learns_pca() -> None:
    x = embeddings()
    prior = cdst.ConditionPrior.fit(x, components=8)
    reference = PCA(n_components=8, svd_solver="full").fit(x.flatten(1).numpy())
    assert np.allclose(prior.mean.flatten(), reference.mean_, atol=1e-5)
    assert np.allclose(prior.deviations**2, reference.explained_variance_, rtol=1e-4)
    axes = prior.components.flatten(1).numpy()
    assert np.allclose(np.abs((axes * reference.components_).sum(1)), 1, atol=1e-4)
    expected = np.abs(reference.transform(x.flatten(1).numpy()))
    assert np.allclose(prior.scores(x).abs(), expected, atol=1e-3)


def test_components_stop_at_the_rank() -> None:
    assert len(cdst.ConditionPrior.fit(embeddings(), components=512).deviations) == 20
    assert len(cdst.ConditionPrior.fit(embeddings(5), components=512).deviations) == 4


def test_samples_have_the_fitted_mean_and_covariance() -> None:
    x = embeddings(400)
    prior = cdst.ConditionPrior.fit(x)
    drawn = prior.sample_many([seeds.generator(0, i, "condition") for i in range(6000)]).flatten(1)
    flat = x.flatten(1)
    scale = flat.std(0).mean()
    assert (drawn.mean(0) - flat.mean(0)).abs().max() < 0.1 * scale
    difference = torch.cov(drawn.T) - torch.cov(flat.T)
    assert difference.abs().max() < 0.1 * torch.cov(flat.T).abs().max()


def test_samples_depend_on_their_own_generator_only() -> None:
    prior = cdst.ConditionPrior.fit(embeddings())
    together = prior.sample_many([seeds.generator(1, i, "condition") for i in range(4)])
    alone = prior.sample(seeds.generator(1, 2, "condition"))
    assert torch.allclose(together[2], alone, atol=1e-5)
    assert not torch.allclose(together[1], alone, atol=1e-2)


def test_a_stream_holds_one_batch_at_a_time_and_equals_single_draws() -> None:
    prior = cdst.ConditionPrior.fit(embeddings())
    begun: list[int] = []

    def generators() -> Iterator[torch.Generator]:
        for i in range(10):
            begun.append(i)
            yield seeds.generator(5, i, "condition")

    sizes, number = [], 0
    for batch in prior.stream(generators(), batch=4):
        assert len(begun) == number + len(batch), "drawn no earlier than asked for"
        for drawn in batch:
            alone = prior.sample(seeds.generator(5, number, "condition"))
            assert torch.allclose(drawn, alone, atol=1e-5)
            number += 1
        sizes.append(len(batch))
    assert sizes == [4, 4, 2]


def test_save_and_load(tmp_path: Path) -> None:
    prior = cdst.ConditionPrior.fit(embeddings(), metadata={"prompts": "scenes"})
    prior.save(tmp_path / "prior.safetensors")
    again = cdst.ConditionPrior.load(tmp_path / "prior.safetensors")
    assert again.metadata == {"prompts": "scenes"}
    for name in ("mean", "components", "deviations"):
        assert torch.equal(getattr(again, name), getattr(prior, name))
    with pytest.raises(ValueError, match="no condition prior"):
        cdst.ConditionPrior.load(tmp_path / "none.safetensors")


def test_equal_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="different prompts"):
        cdst.ConditionPrior.fit(torch.ones(5, 2, 3))
    with pytest.raises(ValueError, match="N >= 2"):
        cdst.ConditionPrior.fit(torch.ones(1, 2, 3))


def test_the_prior_keeps_512_components_as_the_paper_does() -> None:
    """DiffSketch, appendix D."""
    embeddings = torch.randn(600, 1, 640, generator=torch.Generator().manual_seed(0))
    assert len(cdst.ConditionPrior.fit(embeddings).components) == 512
