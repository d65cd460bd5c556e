"""How normal is D_SD? Shapiro-Wilk, Mardia and the earth mover's distance (DiffSketch D.2).

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
    """Return the Shapiro-Wilk p-value of each principal component: (N, K) -> (K,)."""
    return np.array([stats.shapiro(column).pvalue for column in scores.T])


@dataclass(frozen=True)
class Mardia:
    """Mardia's multivariate skewness b1 and kurtosis b2 with their p-values under normality.

    The `_p` values are asymptotic, for N far above K: b1 by chi-squared, b2 by the normal
    distribution, two-sided. The `_simulated_p` values hold for any N and K.
    """

    components: int
    skewness: float
    skewness_p: float
    skewness_simulated_p: float
    kurtosis: float
    kurtosis_p: float
    kurtosis_simulated_p: float


def mardia_statistics(scores: Array) -> tuple[float, float]:
    """Return Mardia's b1 and b2 of scores (N, K), N > K; their covariance divides by N."""
    # The Mahalanobis products of all rows are N times the projection on the centred columns.
    basis = np.linalg.qr(scores - scores.mean(0))[0]  # (N, K)
    products = len(scores) * basis @ basis.T  # (N, N)
    return float((products**3).mean()), float((np.diag(products) ** 2).mean())


def mardia(scores: Array, seed: int, simulations: int = 99) -> Mardia:
    """Test scores (N, K) for multivariate normality.

    The paper's N = 1,000 against K = 512 is far from what the asymptotic p-values require. Both
    statistics are invariant under affine maps, so that standard normal samples of the same shape
    give exact p-values: `simulations` of them are drawn.

    Raises:
        ValueError: N is not above K + 1, where b1 and b2 are constants.
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
    """Return the leading components that Mardia's test can say something about.

    These are all of them, unless the number of prompts N limits the components: then N // 2.
    """
    n, k = scores.shape
    return scores if n > k + 1 else scores[:, : n // 2]


def earth_movers_distance(a: Array, b: Array) -> float:
    """Return the EMD of equally weighted points, (M, E) against (M', E) (equation 8)."""
    cost = ot.dist(a, b, metric="euclidean")  # (M, M')
    return float(ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost))


def distances(
    embeddings: Tensor, components: int, folds: int, seed: int
) -> Mapping[str, list[float]]:
    """Return the EMD from each distribution to embeddings that it was not fitted to (Table 6).

    Every fold of the prompts is held out once; each distribution is fitted to the rest and gives as
    many samples as there are held-out prompts. In PCA space a multivariate normal and one per axis
    are the same distribution, so that the rivals' axes are the E axes of the embeddings.
    `other prompts` are chosen at random from the rest: what perfect sampling would reach.

    Args:
        embeddings: (N, L, D), in the order of the prompts.

    Returns:
        One distance per fold, by name of the distribution.
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
    """Yield distributions fitted to embeddings (N, L, D), as functions of the number of samples."""
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
    """Return the p-value by simulation; the observation counts as one more draw."""
    return (1 + int(hits.sum())) / (1 + len(hits))
