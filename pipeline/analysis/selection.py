"""Which steps represent all (DiffSketch 3.1, appendix B): two selectors and their check.

Shapes: N images, T steps counted from the END, D dimensions of a feature, K selected steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, vstack
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

Array = NDArray[np.float64]

# A single clustering decides a selection, so that many starts are affordable.
_STARTS = 100


def image_distances(features: NDArray[np.floating]) -> Array:
    """Return |f_t - f_s| within every image, float64 (N, T, T), of features (N, T, D)."""
    return np.stack([cdist(image, image) for image in features])


def least_distance(distances: NDArray[np.floating], selected: Sequence[int]) -> float:
    """Return the paper's check of a selection (Table 4), lower is better.

    It is the sum over images and steps of the distance to the image's own nearest selected step.

    Args:
        distances: of `image_distances`, (N, T, T).
    """
    return float(distances[:, :, list(selected)].min(2).sum())


def coverage(distances: NDArray[np.floating], selected: Sequence[int]) -> float:
    """Return sum over t of min over selected s of D[t, s], D (T, T) summed over images.

    It is `least_distance` with one nearest step for all images, and therefore never below it.
    """
    return float(distances[:, list(selected)].min(1).sum())


def random_sets(steps: int, count: int, sets: int, seed: int) -> list[tuple[int, ...]]:
    """Draw `sets` random sets of `count` different steps, each in rising order."""
    draw = np.random.default_rng(seed)
    drawn = (draw.choice(steps, count, replace=False) for _ in range(sets))
    return [tuple(sorted(selected.tolist())) for selected in drawn]


def representatives(features: NDArray[np.floating], count: int, seed: int) -> tuple[int, ...]:
    """Select per cluster the step nearest to its centre, over all images (DiffSketch 3.1).

    The steps are clustered once, each as the concatenation of its features in all images: the
    squared distance of two steps is the sum of those within the images, and all images share the
    same clusters.

    Args:
        features: (N, T, D).
        count: K, the number of clusters.

    Returns:
        K steps, rising.

    Raises:
        ValueError: `count` is not between 1 and the number of steps.
    """
    points = _stacked(features)
    _check_count(count, len(points))
    found = KMeans(count, n_init=_STARTS, random_state=seed).fit(points)
    chosen = []
    for cluster, centre in enumerate(found.cluster_centers_):
        members = np.flatnonzero(found.labels_ == cluster)
        distances = ((points[members] - centre) ** 2).sum(1)
        chosen.append(int(members[distances.argmin()]))
    return tuple(sorted(chosen))


def medoids(distances: NDArray[np.floating], count: int) -> tuple[int, ...]:
    """Select the K steps of least `coverage`: the exact optimum by integer programming.

    Args:
        distances: D[t, s] = sum over images of |f_t - f_s|, (T, T).
        count: K.

    Returns:
        K steps, rising.

    Raises:
        ValueError: `count` is not between 1 and the number of steps.
    """
    steps = len(distances)
    _check_count(count, steps)
    # Unknowns: z[t, s] = step t is served by s, at s T + t; then y[s] = s is selected.
    served = steps * steps
    t, s = np.arange(served) % steps, np.arange(served) // steps
    ones, edges = np.ones(served), np.arange(served)
    shape = served + steps
    each_once = coo_array((ones, (t, edges)), shape=(steps, shape))
    count_row = coo_array((np.ones(steps), (np.zeros(steps, int), served + np.arange(steps))),
                          shape=(1, shape))  # fmt: skip
    opened = coo_array((np.r_[ones, -ones], (np.r_[edges, edges], np.r_[edges, served + s])),
                       shape=(served, shape))  # fmt: skip
    found = milp(
        np.r_[distances.T.ravel() / max(distances.max(), 1e-300), np.zeros(steps)],
        # If y is whole, the best z is whole by itself.
        integrality=np.r_[np.zeros(served), ones[:steps]],
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(vstack([each_once, count_row]).tocsr(),
                             np.r_[np.ones(steps), count], np.r_[np.ones(steps), count]),
            LinearConstraint(opened.tocsr(), -np.inf, 0),
        ],
        options={"mip_rel_gap": 0},
    )  # fmt: skip
    assert found.success, found.message
    return tuple(int(step) for step in np.flatnonzero(found.x[served:] > 0.5))


def _stacked(features: NDArray[np.floating]) -> Array:
    """Return every step as one vector over all images, (T, N D), shortened to (T, T)."""
    points = features.astype(np.float64).transpose(1, 0, 2).reshape(features.shape[1], -1)
    points -= points.mean(0)
    # T points span at most T dimensions: T coordinates keep all distances.
    variance, axes = np.linalg.eigh(points @ points.T)
    return axes * np.sqrt(np.maximum(variance, 0))


def _check_count(count: int, steps: int) -> None:
    if not 1 <= count <= steps:
        raise ValueError(f"expected 1 to {steps} selected steps; got {count}")
