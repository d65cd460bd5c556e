"""How many steps to select: K where silhouette and Davies-Bouldin agree (DiffSketch 3.1, B).

Shapes: N images, T steps, D principal components, Q candidates for K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score, silhouette_score

# K-means++ starts per image and K, of which the best counts.
STARTS = 4


@dataclass(frozen=True)
class Curves:
    """Scores of K-means by image and candidate, (N, Q); `counts` (Q,) holds the candidates."""

    counts: NDArray[np.int64]
    wcss: NDArray[np.float64]
    silhouette: NDArray[np.float64]
    davies_bouldin: NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Every image's own K in `chosen` (N,), and how many images had a K of equal ranks."""

    chosen: NDArray[np.int64]
    matched: int

    @property
    def mean(self) -> float:
        """Mean over images."""
        return float(self.chosen.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation over images."""
        return float(self.chosen.std())

    @property
    def mode(self) -> int:
        """The K of most images; the smallest in case of a tie."""
        return int(np.bincount(self.chosen).argmax())


def candidates(steps: int) -> range:
    """Return the K to try: 2 to half the steps, where a cluster still has two steps on average.

    Raises:
        ValueError: there are too few steps for two clusters with a score.
    """
    if steps < 4:
        raise ValueError(f"selecting steps needs a process of 4 or more; got {steps}")
    return range(2, steps // 2 + 1)


def score_clusterings(features: NDArray[np.floating], counts: Sequence[int], seed: int) -> Curves:
    """Cluster every image's steps (N, T, D) by K-means for each K and score the clusterings."""
    scores = np.array([[_score(image, k, seed) for k in counts] for image in features])  # (N, Q, 3)
    return Curves(np.array(counts), scores[..., 0], scores[..., 1], scores[..., 2])


def _score(points: NDArray[np.floating], count: int, seed: int) -> tuple[float, float, float]:
    found = KMeans(count, n_init=STARTS, random_state=seed).fit(points)
    silhouette = silhouette_score(points, found.labels_)
    return found.inertia_, silhouette, davies_bouldin_score(points, found.labels_)


def choose_count(silhouette: Sequence[float], davies_bouldin: Sequence[float]) -> tuple[int, bool]:
    """Choose one image's K (DiffSketch, appendix B): k-th best by silhouette and by the index.

    Args:
        silhouette: score of each candidate, high is good, (Q,).
        davies_bouldin: index of each candidate, low is good, (Q,).

    Returns:
        The position of the candidate with the smallest rank that is the same by both scores, and
        True; if there is none, the position of the smallest sum of ranks (of equal sums, that with
        the better silhouette), and False.
    """
    by_silhouette = rankdata(-np.asarray(silhouette), method="ordinal")
    by_index = rankdata(davies_bouldin, method="ordinal")
    equal = np.flatnonzero(by_silhouette == by_index)
    if len(equal):
        return int(equal[by_silhouette[equal].argmin()]), True
    sums = by_silhouette + by_index
    return int(np.lexsort((by_silhouette, sums))[0]), False


def agree(curves: Curves) -> Agreement:
    """Choose every image's K from its curves."""
    pairs = zip(curves.silhouette, curves.davies_bouldin, strict=True)
    found = [choose_count(silhouette, index) for silhouette, index in pairs]
    positions = [position for position, _ in found]
    return Agreement(curves.counts[positions], sum(matched for _, matched in found))


def join_curves(parts: Sequence[Curves]) -> Curves:
    """Join the curves of several groups of images in their order."""
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("wcss", "silhouette", "davies_bouldin")
    }
    return Curves(counts=parts[0].counts, **joined)
