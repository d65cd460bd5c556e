"""Selectors and their check, against brute force, SciPy and scikit-learn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min

from pipeline.analysis.selection import (
    coverage,
    image_distances,
    least_distance,
    medoids,
    random_sets,
    representatives,
)


def trajectories(
    images: int = 5, steps: int = 12, dims: int = 6, seed: int = 0
) -> NDArray[np.float32]:
    """Random walks: neighbouring steps are near each other, as in sampling."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(images, steps, dims)).cumsum(1).astype(np.float32)


def test_distances_are_scikit_learns() -> None:
    features = trajectories()
    found = image_distances(features)
    for image, distances in zip(features, found, strict=True):
        np.testing.assert_allclose(distances, pairwise_distances(image), atol=1e-4)
        squareform(distances, checks=True)  # raises unless symmetric with a zero diagonal


def test_check_is_the_literal_sum() -> None:
    features, selected = trajectories(), (1, 5, 9)
    literal = sum(
        pairwise_distances_argmin_min(image, image[list(selected)])[1].sum() for image in features
    )
    assert least_distance(image_distances(features), selected) == pytest.approx(literal, rel=1e-5)


def test_one_nearest_step_for_all_costs_more() -> None:
    distances = image_distances(trajectories())
    for selected in random_sets(12, 4, 20, seed=0):
        shared = coverage(distances.sum(0), selected)
        literal = sum(min(distances[:, t, s].sum() for s in selected) for t in range(12))
        assert shared == pytest.approx(literal)
        assert shared >= least_distance(distances, selected) - 1e-9


@pytest.mark.parametrize("count", [1, 2, 4, 11, 12])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_medoids_are_the_optimum(count: int, seed: int) -> None:
    distances = image_distances(trajectories(seed=seed)).sum(0)
    best = min(combinations(range(12), count), key=lambda selected: coverage(distances, selected))
    found = medoids(distances, count)
    assert len(found) == count and list(found) == sorted(set(found))
    assert coverage(distances, found) == pytest.approx(coverage(distances, best), rel=1e-9)


def test_medoids_at_the_papers_size_are_no_worse_than_any_exchange() -> None:
    distances = image_distances(trajectories(images=3, steps=50)).sum(0)
    found = medoids(distances, 13)
    least = coverage(distances, found)
    for out in found:
        for into in set(range(50)) - set(found):
            assert coverage(distances, [into, *(t for t in found if t != out)]) >= least - 1e-6


def test_medoids_of_equal_steps() -> None:
    assert len(medoids(np.zeros((5, 5)), 2)) == 2


def test_representatives_are_nearest_to_scikit_learns_centres() -> None:
    features = trajectories(images=4, steps=20)
    points = features.transpose(1, 0, 2).reshape(20, -1).astype(np.float64)
    found = KMeans(5, n_init=100, random_state=3).fit(points)
    nearest, _ = pairwise_distances_argmin_min(found.cluster_centers_, points)
    assert representatives(features, 5, seed=3) == tuple(sorted(nearest))


def test_representatives_find_separate_groups() -> None:
    groups = np.repeat([0.0, 100.0, 300.0], [3, 5, 2])
    features = np.stack([np.c_[groups, np.arange(10)], np.c_[-groups, np.arange(10)]])
    assert representatives(features, 3, seed=0)[:2] == (1, 5)
    assert representatives(features, 10, seed=0) == tuple(range(10))


def test_random_sets_are_sets_of_the_seed() -> None:
    drawn = random_sets(50, 13, 100, seed=0)
    assert len(set(drawn)) == 100
    assert all(len(set(steps)) == 13 and 0 <= steps[0] and steps[-1] < 50 for steps in drawn)
    assert drawn == random_sets(50, 13, 100, seed=0) != random_sets(50, 13, 100, seed=1)


@pytest.mark.parametrize("count", [0, 13])
def test_wrong_numbers_are_refused(count: int) -> None:
    features = trajectories()
    with pytest.raises(ValueError, match="expected 1 to 12"):
        medoids(image_distances(features).sum(0), count)
    with pytest.raises(ValueError, match="expected 1 to 12"):
        representatives(features, count, seed=0)
