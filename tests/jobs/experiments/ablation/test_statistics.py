"""Table 1 from scores: means, spreads and verdicts against numpy and scipy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from jobs.experiments.ablation.rows import FULL, NO_VAE, ROWS, Cell
from jobs.experiments.ablation.statistics import (
    AVERAGE,
    PAPER,
    Spread,
    compare,
    full_against_best,
    make_table,
    orderings,
    ranked,
    worst_is_no_vae,
)

STYLES, SEEDS, PICTURES = ("xdog", "lineart"), (0, 1, 2), 5
Scores = Mapping[Cell, Mapping[str, Sequence[float]]]


@pytest.fixture(scope="module")
def raw() -> NDArray[np.float64]:
    """LPIPS by (row, style, seed, picture); the last row is far worse than all others."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.2, (len(ROWS), len(STYLES), len(SEEDS), PICTURES))
    values[list(ROWS).index(NO_VAE)] += 0.3
    return values


@pytest.fixture(scope="module")
def scores(raw: NDArray[np.float64]) -> Scores:
    return {
        Cell(style, row, seed): {"lpips": list(raw[r, s, k]), "ssim": list(1 - 2 * raw[r, s, k])}
        for r, row in enumerate(ROWS)
        for s, style in enumerate(STYLES)
        for k, seed in enumerate(SEEDS)
    }


def test_means_and_spreads_are_those_of_numpy(raw: NDArray[np.float64], scores: Scores) -> None:
    table = make_table(scores)
    for r, row in enumerate(ROWS):
        for s, style in enumerate(STYLES):
            of_seeds = raw[r, s].mean(axis=1)
            spread = table["lpips"][style][row]
            assert spread.mean == pytest.approx(of_seeds.mean())
            assert spread.deviation == pytest.approx(of_seeds.std(ddof=1))
        average = table["lpips"][AVERAGE][row]
        assert average.mean == pytest.approx(raw[r].mean())
        assert average.deviation == pytest.approx(raw[r].mean(axis=(0, 2)).std(ddof=1))


def test_rows_are_compared_seed_by_seed_as_scipy_does(
    raw: NDArray[np.float64], scores: Scores
) -> None:
    found = compare(make_table(scores), "lpips", "xdog", FULL, "l2")
    full, l2 = (raw[list(ROWS).index(row), 0].mean(axis=1) for row in (FULL, "l2"))
    test = stats.ttest_rel(l2, full)
    interval = test.confidence_interval(0.95)
    assert found.advantage.mean == pytest.approx((l2 - full).mean())
    assert found.advantage.interval() == pytest.approx((interval.low, interval.high))


def test_the_advantage_counts_the_same_way_in_both_metrics(scores: Scores) -> None:
    table = make_table(scores)
    lpips, ssim = (compare(table, metric, AVERAGE, FULL, NO_VAE) for metric in ("lpips", "ssim"))
    assert lpips.advantage.mean > 0.2
    assert ssim.advantage.mean == pytest.approx(2 * lpips.advantage.mean)
    assert lpips.verdict == ssim.verdict == "holds"
    assert compare(table, "lpips", AVERAGE, NO_VAE, FULL).verdict == "reversed"


@pytest.mark.parametrize(
    ("advantages", "verdict"),
    [
        ((0.10, 0.11, 0.12), "holds"),
        ((-0.10, -0.11, -0.12), "reversed"),
        ((0.30, -0.10, 0.05), "leans so"),
        ((-0.30, 0.10, -0.05), "leans against"),
        ((0.10,), "one seed"),
    ],
)
def test_verdicts_need_more_than_the_right_sign(
    advantages: tuple[float, ...], verdict: str
) -> None:
    scores = {}
    for seed, advantage in enumerate(advantages):
        scores[Cell("xdog", FULL, seed)] = {"lpips": [0.5 - advantage], "ssim": [0.5]}
        scores[Cell("xdog", "l2", seed)] = {"lpips": [0.5], "ssim": [0.5]}
    assert compare(make_table(scores), "lpips", "xdog", FULL, "l2").verdict == verdict


def test_extremes_are_found(scores: Scores) -> None:
    table = make_table(scores)
    assert ranked(table, "lpips", AVERAGE)[-1] == ranked(table, "ssim", AVERAGE)[-1] == NO_VAE
    last = worst_is_no_vae(table, "ssim")
    assert (last.better, last.worse) == (ranked(table, "ssim", AVERAGE)[-2], NO_VAE)
    rival = full_against_best(table, "lpips")
    others = [row for row in ranked(table, "lpips", AVERAGE) if row != FULL]
    assert (rival.better, rival.worse) == (FULL, others[0])


def test_a_table_that_is_still_being_filled(scores: Scores) -> None:
    some = {cell: s for cell, s in scores.items() if (cell.row, cell.style) != (FULL, "lineart")}
    del some[Cell("xdog", FULL, 1)]
    table = make_table(some)
    assert FULL not in table["lpips"]["lineart"] and FULL not in table["lpips"][AVERAGE]
    found = orderings(table)
    assert {o.style for o in found} == {"xdog"}
    assert all(set(o.advantage.by_seed) == {0, 2} for o in found)
    assert compare(table, "lpips", AVERAGE, FULL, "l2") is None


def test_a_single_seed_has_no_spread() -> None:
    spread = Spread.of({4: 0.25})
    assert (spread.mean, spread.deviation, spread.interval()) == (0.25, None, None)


def test_the_papers_rows_are_ours() -> None:
    assert PAPER.keys() == ROWS.keys()
    lpips, ssim = zip(*PAPER.values(), strict=True)
    assert lpips.index(min(lpips)) == ssim.index(max(ssim)) == 0
