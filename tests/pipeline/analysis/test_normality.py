"""Normality of D_SD: Mardia by its sums written out, EMD by SciPy, verdicts on known samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pipeline.analysis.normality import (
    MULTIVARIATE,
    OTHER_PROMPTS,
    PER_AXIS,
    UNIFORM,
    Array,
    answerable,
    distances,
    earth_movers_distance,
    mardia,
    mardia_statistics,
    shapiro_p_values,
)


def correlated(count: int, width: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + 5


def literal_mardia(x: Array) -> tuple[float, float, float, float]:
    """Mardia (1970): b1, its p, b2, its p; sums over samples as the article has them."""
    n, k = x.shape
    mean = sum(x) / n
    covariance = sum(np.outer(row - mean, row - mean) for row in x) / n
    inverse = np.linalg.inv(covariance)
    b1 = sum(float((i - mean) @ inverse @ (j - mean)) ** 3 for i in x for j in x) / n**2
    b2 = sum(float((i - mean) @ inverse @ (i - mean)) ** 2 for i in x) / n
    skewness_p = 1 - stats.chi2(k * (k + 1) * (k + 2) / 6).cdf(n * b1 / 6)
    deviate = (b2 - k * (k + 2)) / (8 * k * (k + 2) / n) ** 0.5
    return b1, skewness_p, b2, 2 * (1 - stats.norm.cdf(abs(deviate)))


@pytest.mark.parametrize("make", [np.asarray, np.abs, lambda x: x**3])
def test_mardia_equals_the_article(make: Callable[[Array], Array]) -> None:
    x = make(correlated(40, 4, 0) - 5)
    b1, skewness_p, b2, kurtosis_p = literal_mardia(x)
    found = mardia(x, seed=0, simulations=1)
    assert (found.skewness, found.kurtosis) == pytest.approx((b1, b2), rel=1e-9)
    assert (found.skewness_p, found.kurtosis_p) == pytest.approx((skewness_p, kurtosis_p), abs=1e-9)


def test_simulated_p_values_tell_normal_from_not() -> None:
    skewed = mardia(np.exp(correlated(80, 3, 2) / 3), seed=0, simulations=59)
    assert skewed.skewness_simulated_p == skewed.kurtosis_simulated_p / 2 == 1 / 60
    fair = [mardia(correlated(80, 3, seed), seed=seed, simulations=19) for seed in range(20)]
    for name in ("skewness_simulated_p", "kurtosis_simulated_p"):
        p = [getattr(result, name) for result in fair]
        assert np.mean(p) == pytest.approx(0.5, abs=0.2) and min(p) < 0.3


def test_with_many_components_the_asymptotic_p_values_err_and_the_simulated_do_not() -> None:
    found = [mardia(correlated(60, 30, seed), seed=seed, simulations=19) for seed in range(12)]
    assert all(result.kurtosis_p < 0.05 for result in found), "rejects what is normal"
    assert np.mean([result.kurtosis_simulated_p for result in found]) > 0.25


def test_too_few_samples_say_nothing() -> None:
    x = correlated(9, 8, 0)
    for seed in (1, 2):
        assert mardia_statistics(x) == pytest.approx(mardia_statistics(correlated(9, 8, seed)))
    with pytest.raises(ValueError, match=r"more than K \+ 1 = 9"):
        mardia(x, seed=0)
    assert answerable(x).shape == (9, 4)
    assert answerable(correlated(11, 8, 0)).shape == (11, 8)


def test_shapiro_finds_the_component_that_is_not_normal() -> None:
    evenly = (np.arange(200) + 0.5) / 200
    scores = np.stack([stats.norm.ppf(evenly), evenly, 3 - 2 * stats.norm.ppf(evenly)], 1)
    p = shapiro_p_values(scores)
    assert (p < 0.05).tolist() == [False, True, False]
    assert p[1] == stats.shapiro(evenly).pvalue


def test_earth_movers_distance_is_the_best_assignment() -> None:
    a, b = correlated(30, 5, 0), correlated(30, 5, 1)
    cost = cdist(a, b)
    assert earth_movers_distance(a, b) == pytest.approx(
        cost[linear_sum_assignment(cost)].mean(), rel=1e-9
    )


def test_the_distribution_that_embeddings_follow_lies_nearest() -> None:
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(4, 6 * 8))
    embeddings = torch.tensor(rng.normal(size=(150, 4)) @ axes, dtype=torch.float32).view(-1, 6, 8)
    found = distances(embeddings, components=16, folds=3, seed=0)
    assert {len(values) for values in found.values()} == {3}
    mean = {name: np.mean(values) for name, values in found.items()}
    assert mean[MULTIVARIATE] == pytest.approx(mean[OTHER_PROMPTS], rel=0.1)
    assert mean[MULTIVARIATE] < 0.7 * mean[PER_AXIS] < 0.7 * mean[UNIFORM]
    assert distances(embeddings, components=16, folds=3, seed=0) == found
