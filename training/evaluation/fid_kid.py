"""Distances between two sets of pictures by their features: FID and KID.

Shapes: N and M pictures, D features. Both are estimates whose error falls slowly with the number of
pictures (FID's even has a bias): scores of sets of different sizes are not comparable.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]  # (N, D)

LEAST_PICTURES = 2
SUBSETS = 100
SUBSET_SIZE = 1000


def frechet_distance(a: Features, b: Features) -> float:
    """Measure FID, |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Heusel et al. 2017, eq. 6).

    The trace of the root is the sum of singular values of A B^T with S = A^T A / (N - 1), which
    needs no root of a singular matrix and no D x D one when there are fewer pictures than features.

    Args:
        a: features (N, D), their covariance taken with N - 1.
        b: features (M, D), their covariance taken with M - 1.

    Raises:
        ValueError: the widths differ, or a set has fewer than two pictures.
    """
    _check(a, b)
    offset = a.mean(axis=0) - b.mean(axis=0)
    centred_a = (a - a.mean(axis=0)) / np.sqrt(len(a) - 1)
    centred_b = (b - b.mean(axis=0)) / np.sqrt(len(b) - 1)
    # The eigenvalues of S_a S_b = A^T A B^T B are those of (A B^T)(A B^T)^T, but for zeros.
    root = np.linalg.svd(_reduced(centred_a) @ _reduced(centred_b).T, compute_uv=False).sum()
    distance = offset @ offset + (centred_a**2).sum() + (centred_b**2).sum() - 2 * root
    return max(0.0, float(distance))


def kernel_distance(a: Features, b: Features, seed: int = 0) -> float:
    """Measure KID, an unbiased squared MMD, so that it may be below 0 (Binkowski et al. 2018).

    Above 1,000 pictures it is the mean over 100 random subsets of that size, as published.

    Args:
        a: features (N, D).
        b: features (M, D).
        seed: of the subsets.

    Raises:
        ValueError: the widths differ, or a set has fewer than two pictures.
    """
    _check(a, b)
    size = min(len(a), len(b), SUBSET_SIZE)
    if max(len(a), len(b)) <= SUBSET_SIZE:
        return squared_mmd(a, b)
    generator = np.random.default_rng(seed)
    draws = (
        squared_mmd(*(x[generator.choice(len(x), size, replace=False)] for x in (a, b)))
        for _ in range(SUBSETS)
    )
    return float(np.mean(list(draws)))


def squared_mmd(a: Features, b: Features) -> float:
    """Estimate the squared MMD without bias (Gretton et al. 2012, equation 3)."""
    own_a, own_b, across = kernel(a, a), kernel(b, b), kernel(a, b)
    within_a = (own_a.sum() - np.trace(own_a)) / (len(a) * (len(a) - 1))
    within_b = (own_b.sum() - np.trace(own_b)) / (len(b) * (len(b) - 1))
    return float(within_a + within_b - 2 * across.mean())


def kernel(a: Features, b: Features) -> Features:
    """Apply KID's polynomial kernel, (x.y / D + 1)^3: (N, D), (M, D) -> (N, M)."""
    cubed: Features = (a @ b.T / a.shape[1] + 1) ** 3
    return cubed


class FeatureSet:
    """Features of drawings and of their truths, gathered by picture and mergeable across workers.

    Kept by name, so that the order of pictures and of merging changes no score.
    """

    def __init__(self) -> None:
        self.features: dict[str, tuple[Features, Features]] = {}  # name -> drawing's, truth's (D,)

    def update(self, name: str, drawing: Features, truth: Features) -> None:
        """Take one picture's features (D,); ValueError when it was taken already."""
        if name in self.features:
            raise ValueError(f"picture {name!r} has been taken already; names must differ")
        self.features[name] = (drawing, truth)

    def merge(self, other: Self) -> None:
        """Take over another worker's features; ValueError when a picture is in both."""
        both = sorted(self.features.keys() & other.features.keys())
        if both:
            raise ValueError(f"expected workers with different pictures, both took {both[:5]}")
        self.features |= other.features

    def compute(self, seed: int = 0) -> dict[str, float]:
        """Measure FID and KID between the drawings and the truths, by these names."""
        named = [self.features[name] for name in sorted(self.features)]
        drawings = np.array([drawing for drawing, _ in named])
        truths = np.array([truth for _, truth in named])
        return {
            "fid": frechet_distance(drawings, truths),
            "kid": kernel_distance(drawings, truths, seed),
        }


def _reduced(centred: Features) -> Features:
    """Return at most D rows R with R^T R = A^T A, so that many pictures cost no N x M matrix."""
    if len(centred) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _check(a: Features, b: Features) -> None:
    shapes = f"got {a.shape} and {b.shape}"
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"expected features (N, D) and (M, D), {shapes}")
    if min(len(a), len(b)) < LEAST_PICTURES:
        raise ValueError(f"FID and KID need at least {LEAST_PICTURES} pictures a set, {shapes}")
