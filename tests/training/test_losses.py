"""The losses against NumPy, and against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.losses import (
    DirectionalClip,
    Embeddings,
    feature_matching,
    least_squares_gan,
    pixel_distance,
)


def embeddings(seed: int = 0) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    # Different lengths, so that subtracting before or after normalisation differs.
    return [rng.normal(size=(1, 6)) * length for length in (1.0, 3.0, 0.5, 2.0)]


def as_tensors(arrays: Sequence[NDArray[np.float64]]) -> Embeddings:
    return Embeddings(*(torch.tensor(a) for a in arrays))


def angle_between(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a.ravel(), b.ravel()
    return 1 - a.dot(b) / np.sqrt(a.dot(a)) / np.sqrt(b.dot(b))


@pytest.mark.parametrize(
    ("loss", "unit", "within_weight"),
    [
        (DirectionalClip.paper(), True, 1.0),
        (DirectionalClip.public_code(), False, 1.0),
        (DirectionalClip.mind_the_gap(), True, 0.5),
    ],
)
def test_presets_equal_numbers_worked_out_in_numpy(
    loss: DirectionalClip, unit: bool, within_weight: float
) -> None:
    arrays = embeddings()
    source, sketch, sample, sample_sketch = (a / np.linalg.norm(a) if unit else a for a in arrays)
    across = angle_between(sample_sketch - sample, sketch - source)
    within = angle_between(sample - source, sample_sketch - sketch)
    terms = loss.terms(as_tensors(arrays))
    assert terms["across"].item() == pytest.approx(across, rel=1e-9)
    assert terms["within"].item() == pytest.approx(within, rel=1e-9)
    expected = across + within_weight * within
    assert loss.loss(as_tensors(arrays)).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("preset", "across", "within", "total"),
    [
        # Unit embeddings: source (1, 0), sketch (0, 1), sample (1, 0), sample sketch (-1, 0).
        # Across: (-2, 0) against (-1, 1), cos = 2 / (2 sqrt 2). Within: (0, 0), no direction.
        (DirectionalClip.paper(), 1 - 0.5**0.5, 1.0, 2 - 0.5**0.5),
        (DirectionalClip.mind_the_gap(), 1 - 0.5**0.5, 1.0, 1.5 - 0.5**0.5),
        # As given: source (1, 0), sketch (0, 2), sample (4, 0), sample sketch (-3, 0).
        # Across: (-7, 0) against (-1, 2), cos = 1 / sqrt 5. Within: (3, 0) against (-3, -2),
        # cos = -3 / sqrt 13.
        (DirectionalClip.public_code(), 1 - 5**-0.5, 1 + 3 * 13**-0.5, 2 - 5**-0.5 + 3 * 13**-0.5),
    ],
    ids=["paper", "mind_the_gap", "public_code"],
)
def test_presets_equal_numbers_worked_out_by_hand(
    preset: DirectionalClip, across: float, within: float, total: float
) -> None:
    e = as_tensors([np.array([v]) for v in ([1.0, 0], [0, 2.0], [4.0, 0], [-3.0, 0])])
    terms = preset.terms(e)
    assert terms["across"].item() == pytest.approx(across, abs=1e-12)
    assert terms["within"].item() == pytest.approx(within, abs=1e-12)
    assert preset.loss(e).item() == pytest.approx(total, abs=1e-12)


def test_a_batch_costs_the_mean_of_its_pairs() -> None:
    one, two = embeddings(1), embeddings(2)
    both = [np.concatenate(pair) for pair in zip(one, two, strict=True)]
    loss = DirectionalClip.paper().loss
    mean = (loss(as_tensors(one)) + loss(as_tensors(two))) / 2
    assert loss(as_tensors(both)).item() == pytest.approx(mean.item(), rel=1e-12)


def test_equal_shifts_cost_nothing() -> None:
    source, sample = np.eye(6)[:1], np.eye(6)[1:2]
    shift = np.full((1, 6), 0.3)
    loss = DirectionalClip.public_code().loss(
        as_tensors([source, source + shift, sample, sample + shift])
    )
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_a_sample_equal_to_the_source_has_a_finite_gradient() -> None:
    # At iteration 0 of CDST the sample may be the known picture itself: a zero shift within.
    source, sketch, _, moved = (torch.tensor(a) for a in embeddings())
    moved.requires_grad_()
    loss = DirectionalClip.paper().loss(Embeddings(source, sketch, source.clone(), moved))
    loss.backward()
    assert loss.isfinite() and moved.grad.isfinite().all()


def test_pixel_distances() -> None:
    a, b = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.8]])
    assert pixel_distance(a, b, "l1").item() == pytest.approx(0.35)
    assert pixel_distance(a, b, "l2").item() == pytest.approx(0.145)
    with pytest.raises(ValueError, match="'l1' or 'l2'"):
        pixel_distance(a, b, "huber")


def test_least_squares_gan_sums_over_discriminators() -> None:
    scores = [torch.tensor([0.5, 1.5]), torch.tensor([2.0])]
    assert least_squares_gan(scores, real=True).item() == pytest.approx(0.25 + 1.0)
    assert least_squares_gan(scores, real=False).item() == pytest.approx(1.25 + 4.0)


def test_feature_matching_averages_and_spares_the_real_side() -> None:
    fake = [[torch.zeros(2, requires_grad=True), torch.ones(1)], [torch.full((3,), 2.0)]]
    real = [[torch.ones(2, requires_grad=True), torch.ones(1)], [torch.zeros(3)]]
    loss = feature_matching(fake, real)
    assert loss.item() == pytest.approx((0.5 + 2.0) / 2)
    loss.backward()
    assert real[0][0].grad is None and fake[0][0].grad is not None
