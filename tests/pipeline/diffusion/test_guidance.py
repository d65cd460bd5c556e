"""Guidance as weights over subsets of the conditions, against the formulas in use."""

from __future__ import annotations

import pytest
import torch

from pipeline.diffusion.guidance import TEXT, Guidance, guidance_of
from pipeline.recipe.recipe import Sampling

IMAGE = "image"


def draw(branches: int, batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(branches)
    return torch.randn(branches * batch, 4, 5, 5, generator=generator)


@pytest.mark.parametrize("scale", [1.5, 5.0, 7.3])
def test_two_branches_are_classifier_free_guidance_to_the_bit(scale: float) -> None:
    predictions = draw(2)
    uncond, cond = predictions.chunk(2)
    guided = guidance_of(Sampling(guidance=scale)).combine(predictions)
    assert torch.equal(guided, uncond + scale * (cond - uncond))


def test_scale_one_is_one_branch_and_changes_nothing() -> None:
    guidance = guidance_of(Sampling(guidance=1))
    assert guidance.branches == 1 and guidance.subsets == (frozenset({TEXT}),)
    assert torch.equal(guidance.combine(draw(1)), draw(1))


def test_three_branches_are_instruct_pix2pixs_formula() -> None:
    s_i, s_t = 1.5, 7.5
    subsets = (frozenset[str](), frozenset({IMAGE}), frozenset({IMAGE, TEXT}))
    guidance = Guidance(subsets, (1 - s_i, s_i - s_t, s_t))
    predictions = draw(3)
    e_0, e_i, e_it = predictions.chunk(3)
    literal = e_0 + s_i * (e_i - e_0) + s_t * (e_it - e_i)
    torch.testing.assert_close(guidance.combine(predictions), literal, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("branches", [1, 2, 3, 4])
def test_it_is_the_weighted_sum(branches: int) -> None:
    weights = [0.3 * number - 1 for number in range(branches - 1)]
    weights.append(1 - sum(weights))
    guidance = Guidance(tuple(frozenset({str(n)}) for n in range(branches)), tuple(weights))
    predictions = draw(branches)
    parts = zip(weights, predictions.double().chunk(branches), strict=True)
    expected = torch.stack([weight * part for weight, part in parts]).sum(0)
    torch.testing.assert_close(guidance.combine(predictions).double(), expected, rtol=0, atol=1e-5)


def test_features_are_split_by_branch() -> None:
    features = draw(2)
    (split,) = guidance_of(Sampling(guidance=2)).split([features])
    assert split.shape == (3, 2, 4, 5, 5)
    assert torch.equal(split[1, 0], features[1]) and torch.equal(split[1, 1], features[4])


@pytest.mark.parametrize(
    ("subsets", "weights", "words"),
    [
        (1, (1.0, 0.0), "1 subsets and 2 weights"),
        (0, (), "0 subsets"),
        (2, (1.0, 0.5), "sum to 1"),
        (2, (-4.0, 5.001), "sum to 1"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    subsets: int, weights: tuple[float, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Guidance((frozenset[str](),) * subsets, weights)
