"""FID and KID against SciPy's matrix root and a literal transcription."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from training.evaluation.fid_kid import Features, FeatureSet, frechet_distance, kernel_distance


def features(seed: int, count: int, width: int = 12) -> Features:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width))
    return rng.normal(size=(count, width)) @ mixing + rng.normal(size=width)


def literal_fid(a: Features, b: Features) -> float:
    """Heusel et al., equation 6, with SciPy's root of the product of the covariances."""
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(sa @ sb)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sa + sb - 2 * root.real)


def literal_kid(a: Features, b: Features) -> float:
    """Binkowski et al., the estimate written as sums over pairs of pictures."""

    def k(x: Features, y: Features) -> float:
        return (sum(x * y) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j)
    within_b = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(k(x, y) for x in a for y in b)
    return within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m)


@pytest.mark.parametrize(("n", "m"), [(40, 60), (200, 30), (13, 13)])
def test_fid_equals_scipys_root(n: int, m: int) -> None:
    a, b = features(1, n), features(2, m)
    assert frechet_distance(a, b) == pytest.approx(literal_fid(a, b), rel=1e-6)


def test_fid_with_fewer_pictures_than_features() -> None:
    """Where the covariances are singular, against the symmetric form of the root."""
    a, b = features(1, 6), features(2, 8)
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(sa)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    root = np.sqrt(np.linalg.eigvalsh(half @ sb @ half).clip(0)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sa) + np.trace(sb) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_fid_of_known_gaussians() -> None:
    """Of sets whose means and variances are exact: |3|^2 + (2 - 1)^2 per axis."""
    a = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    assert frechet_distance(a, 2 * a + 3) == pytest.approx(2 * 9 + 2 * 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(9, 7), (5, 12)])
def test_kid_equals_the_sums_over_pairs(n: int, m: int) -> None:
    a, b = features(1, n), features(2, m)
    assert kernel_distance(a, b) == pytest.approx(literal_kid(a, b), rel=1e-9)


def test_kid_is_unbiased_and_takes_subsets_of_large_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [kernel_distance(*np.split(np.random.default_rng(i).normal(size=(40, 4)), 2))
            for i in range(300)]  # fmt: skip
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    assert min(same) < 0
    a, b = features(1, 60), features(2, 80)
    whole = kernel_distance(a, b)
    monkeypatch.setattr("training.evaluation.fid_kid.SUBSET_SIZE", 30)
    subsets = kernel_distance(a, b, seed=1)
    assert subsets != whole and subsets == pytest.approx(whole, rel=0.1)
    assert subsets == kernel_distance(a, b, seed=1)


def test_merging_in_any_order_gives_what_one_worker_finds() -> None:
    a, b = features(1, 8), features(2, 8)
    whole, left, right = FeatureSet(), FeatureSet(), FeatureSet()
    for i in range(8):
        whole.update(f"picture-{i}", a[i], b[i])
        (left if i % 3 else right).update(f"picture-{i}", a[i], b[i])
    right.merge(left)
    assert right.compute() == whole.compute()
    assert whole.compute()["fid"] == pytest.approx(literal_fid(a, b), rel=1e-3, abs=0.1)
    with pytest.raises(ValueError, match="both took"):
        right.merge(left)
    with pytest.raises(ValueError, match="already"):
        right.update("picture-0", a[0], b[0])


def test_what_cannot_be_compared_is_refused() -> None:
    a = features(1, 5)
    with pytest.raises(ValueError, match=r"\(5, 12\) and \(5, 11\)"):
        frechet_distance(a, a[:, :-1])
    with pytest.raises(ValueError, match="at least 2 pictures"):
        kernel_distance(a[:1], a)
