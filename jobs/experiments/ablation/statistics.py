"""Table 1 from scores: means over seeds, and rows compared seed by seed (DiffSketch 5.3).

Scores of one seed share noise, samples and pictures across rows, so that differences of rows vary
less than the rows do. A score here is a mean over pictures; AVERAGE is the mean over styles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from jobs.experiments.ablation.rows import FULL, NO_VAE, Cell

AVERAGE = "average"
CONFIDENCE = 0.95
BETTER: dict[str, Literal["lower", "higher"]] = {"lpips": "lower", "ssim": "higher"}
# Averages of Table 1 in the paper, for the table beside ours: LPIPS, SSIM.
PAPER = {
    "full": (0.1769, 0.6393),
    "random-1": (0.1919, 0.6211),
    "random-2": (0.1832, 0.6311),
    "one-step": (0.1844, 0.6367),
    "no-cdst": (0.1802, 0.6304),
    "l2": (0.2140, 0.5180),
    "no-vae": (0.2603, 0.4300),
}

OrderingVerdict = Literal["holds", "leans so", "leans against", "reversed", "one seed"]
BySeed = Mapping[int, float]


@dataclass(frozen=True)
class Spread:
    """A score by seed, its mean and its sample standard deviation (None for a single seed)."""

    by_seed: BySeed
    mean: float
    deviation: float | None

    @classmethod
    def of(cls, by_seed: BySeed) -> Spread:
        """Summarise the scores of at least one seed."""
        values = [by_seed[seed] for seed in sorted(by_seed)]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(dict(sorted(by_seed.items())), float(np.mean(values)), deviation)

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean by Student's t; None for a single seed."""
        count = len(self.by_seed)
        if self.deviation is None:
            return None
        reach = student.ppf((1 + CONFIDENCE) / 2, count - 1) * self.deviation / count**0.5
        return self.mean - float(reach), self.mean + float(reach)


@dataclass(frozen=True)
class Ordering:
    """Whether one row is better than another, in one metric and one style.

    Attributes:
        metric: that the rows are compared in.
        style: that they are compared in.
        better: the row that is better in the paper.
        worse: the other row.
        advantage: how much better `better` scored than `worse`, seed by seed; positive in the
            direction that the paper found, whether high or low scores are good.
    """

    metric: str
    style: str
    better: str
    worse: str
    advantage: Spread

    @property
    def verdict(self) -> OrderingVerdict:
        """`holds` and `reversed` where the interval over seeds excludes zero."""
        interval = self.advantage.interval()
        if interval is None:
            return "one seed"
        if interval[0] > 0:
            return "holds"
        if interval[1] < 0:
            return "reversed"
        return "leans so" if self.advantage.mean > 0 else "leans against"


ScoreTable = Mapping[str, Mapping[str, Mapping[str, Spread]]]  # metric -> style -> row -> score


def make_table(scores: Mapping[Cell, Mapping[str, Sequence[float]]]) -> ScoreTable:
    """Average per-picture scores into a table; AVERAGE has the seeds that every style has.

    Rows and styles without a score are left out.
    """
    table: dict[str, dict[str, dict[str, Spread]]] = {}
    styles = list(dict.fromkeys(cell.style for cell in scores))
    rows = list(dict.fromkeys(cell.row for cell in scores))
    for metric in BETTER:
        means = {cell: float(np.mean(of_cell[metric])) for cell, of_cell in scores.items()}
        of_styles = {
            style: {row: Spread.of(found) for row in rows if (found := _seeds(means, style, row))}
            for style in styles
        }
        averages = {row: _average([of_styles[style].get(row) for style in styles]) for row in rows}
        kept = {row: Spread.of(by_seed) for row, by_seed in averages.items() if by_seed}
        table[metric] = {**of_styles, AVERAGE: kept}
    return table


def compare(table: ScoreTable, metric: str, style: str, better: str, worse: str) -> Ordering | None:
    """Compare two rows over the seeds that both have; None without one."""
    a, b = (table[metric][style].get(row) for row in (better, worse))
    if a is None or b is None:
        return None
    sign = 1.0 if BETTER[metric] == "higher" else -1.0
    common = sorted(a.by_seed.keys() & b.by_seed.keys())
    advantage = {seed: sign * (a.by_seed[seed] - b.by_seed[seed]) for seed in common}
    return Ordering(metric, style, better, worse, Spread.of(advantage)) if advantage else None


def orderings(table: ScoreTable) -> list[Ordering]:
    """Compare the full method with every other row: all that Table 1 shows on average."""
    found = [
        compare(table, metric, style, FULL, row)
        for metric, of_styles in table.items()
        for style, of_rows in of_styles.items()
        for row in of_rows
        if row != FULL
    ]
    return [ordering for ordering in found if ordering is not None]


def ranked(table: ScoreTable, metric: str, style: str) -> list[str]:
    """List the rows from the best mean to the worst."""
    of_rows = table[metric][style]
    falling = BETTER[metric] == "higher"
    return sorted(of_rows, key=lambda row: of_rows[row].mean, reverse=falling)


def worst_is_no_vae(table: ScoreTable, metric: str, style: str = AVERAGE) -> Ordering | None:
    """Compare the nearest rival for the last place with the row without VAE features."""
    others = [row for row in ranked(table, metric, style) if row != NO_VAE]
    return compare(table, metric, style, others[-1], NO_VAE) if others else None


def full_against_best(table: ScoreTable, metric: str, style: str = AVERAGE) -> Ordering | None:
    """Compare the full method with the best of the other rows."""
    others = [row for row in ranked(table, metric, style) if row != FULL]
    return compare(table, metric, style, FULL, others[0]) if others else None


def _seeds(means: Mapping[Cell, float], style: str, row: str) -> dict[int, float]:
    return {cell.seed: x for cell, x in means.items() if (cell.style, cell.row) == (style, row)}


def _average(of_styles: Sequence[Spread | None]) -> dict[int, float]:
    present = [spread for spread in of_styles if spread is not None]
    if len(present) < len(of_styles):
        return {}
    common = set.intersection(*(set(spread.by_seed) for spread in present))
    return {
        seed: float(np.mean([spread.by_seed[seed] for spread in present]))
        for seed in sorted(common)
    }
