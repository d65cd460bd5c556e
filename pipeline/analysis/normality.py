"""How normal is D_SD? Shapiro-Wilk, Mardia and the earth mover's distance (paper D.2).

N: prompts, K: principal components, M: held-out prompts, E = L D: one embedding, flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from pipeline.diffusion.cdst import ConditionPrior
from pipeline.seeds import generator, stream_seed

Array = NDArray[np.float64]

MULTIVARIATE, PER_AXIS, UNIFORM = "multivariate normal", "normal per axis", "uniform per axis"
OTHER_PROMPTS = "other prompts"


def shapiro_p_values(scores: Array) -> Array:
    """Shapiro-Wilk p-value of each principal component: (N, K) -> (K,)."""
    return np.array([stats.shapiro(column).pvalue for column in scores.T])


@dataclass(frozen=True)
class Mardia:
    """Mardia's multivariate skewness b1 and kurtosis b2 with their p-values under normality.

    The `_p` are asymptotic, for N far above K: b1 by chi-squared, b2 by the normal distribution,
    two-sided. The `_simulated_p` hold for any N and K.
    """

    components: int
    skewness: float
    skewness_p: float
    skewness_simulated_p: float
    kurtosis: float
    kurtosis_p: float
    kurtosis_simulated_p: float


def mardia_statistics(scores: Array) -> tuple[float, float]:
    """Mardia's b1 and b2 of scores (N, K), N > K, by the covariance that divides by N."""
    # The Mahalanobis products of all rows are N times the projection on the centred columns.
    basis = np.linalg.qr(scores - scores.mean(0))[0]  # (N, K)
    products = len(scores) * basis @ basis.T  # (N, N)
    return float((products**3).mean()), float((np.diag(products) ** 2).mean())


def mardia(scores: Array, seed: int, simulations: int = 99) -> Mardia:
    """Test scores (N, K) for multivariate normality.

    The paper's N = 1,000 against K = 512 is far from what the asymptotic p-values ask for. Both
    statistics stay the same under any affine map, so that standard normal samples of the same
    shape give p-values that hold exactly: `simulations` of them are drawn.

    Raises:
        ValueError: N is not above K + 1; then b1 and b2 are constants.
    """
    n, k = scores.shape
    if n <= k + 1:
        raise ValueError(f"Mardia's test needs more than K + 1 = {k + 1} samples; got {n}")
    b1, b2 = mardia_statistics(scores)
    random = np.random.default_rng(seed)
    drawn = [mardia_statistics(random.standard_normal((n, k))) for _ in range(simulations)]
    simulated = np.array(drawn)  # (simulations, 2)
    deviate = (b2 - k * (k + 2)) / math.sqrt(8 * k * (k + 2) / n)
    kurtosis_tail = min(_share(simulated[:, 1] >= b2), _share(simulated[:, 1] <= b2))
    return Mardia(
        components=k,
        skewness=b1,
        skewness_p=float(stats.chi2.sf(n * b1 / 6, k * (k + 1) * (k + 2) / 6)),
        skewness_simulated_p=_share(simulated[:, 0] >= b1),
        kurtosis=b2,
        kurtosis_p=float(2 * stats.norm.sf(abs(deviate))),
        kurtosis_simulated_p=min(1.0, 2 * kurtosis_tail),
    )


def answerable(scores: Array) -> Array:
    """Leading components that Mardia's test can say something about.

    All of them, unless the prompts were so few that they ended the components: then half of N.
    """
    n, k = scores.shape
    return scores if n > k + 1 else scores[:, : n // 2]


def earth_movers_distance(a: Array, b: Array) -> float:
    """EMD between two sets of equally weighted points, (M, E) and (M', E) (equation 8)."""
    cost = ot.dist(a, b, metric="euclidean")  # (M, M')
    return float(ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost))


def distances(
    embeddings: Tensor, components: int, folds: int, seed: int
) -> Mapping[str, list[float]]:
    """EMD from samples of each distribution to embeddings that it was not fitted to (Table 6).

    Every fold of the prompts is held out once; each distribution is fitted to the rest, and gives
    as many samples as there are held-out prompts. In PCA space a multivariate normal and one per
    axis are the same distribution, so that the rivals' axes are the E axes of the embeddings.
    `other prompts` are prompts of the rest, chosen at random: what a perfect sampling would reach.

    Args:
        embeddings: (N, L, D), in the order of the prompts.

    Returns:
        One distance per fold, by the distribution's name.
    """
    order = torch.randperm(len(embeddings), generator=generator(seed, 0, "folds"))
    found: dict[str, list[float]] = {}
    for number, held_out in enumerate(order.tensor_split(folds)):
        rest = embeddings[order[~torch.isin(order, held_out)]]
        truth = _flat(embeddings[held_out])
        for name, draw in _rivals(rest, components, stream_seed(seed, number, "emd")):
            found.setdefault(name, []).append(earth_movers_distance(draw(len(truth)), truth))
    return found


def _rivals(
    rest: Tensor, components: int, seed: int
) -> Iterator[tuple[str, Callable[[int], Array]]]:
    """Distributions fitted to embeddings (N, L, D), as functions of the number of samples."""
    x, random = _flat(rest), np.random.default_rng(seed)
    prior = ConditionPrior.fit(rest, components)
    yield (
        MULTIVARIATE,
        lambda m: _flat(prior.sample_many([generator(seed, i, "condition") for i in range(m)])),
    )
    yield PER_AXIS, lambda m: random.normal(x.mean(0), x.std(0), (m, x.shape[1]))
    yield UNIFORM, lambda m: random.uniform(x.min(0), x.max(0), (m, x.shape[1]))
    yield OTHER_PROMPTS, lambda m: random.permutation(x)[:m]


def _flat(embeddings: Tensor) -> Array:
    return embeddings.flatten(1).double().numpy()


def _share(hits: NDArray[np.bool_]) -> float:
    """p-value by simulation; what was observed counts as one more draw."""
    return (1 + int(hits.sum())) / (1 + len(hits))
