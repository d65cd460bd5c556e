"""The plots of a condition prior: spectrum, normality of components, distances.

N: prompts, K: principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy import stats

from jobs.pages.plots import INK, MARK, MISS, SOFT, new_figure, plotting, svg

_QUANTILE_PLOTS = 6


def plot_spectrum(deviations: Sequence[float], p_values: Sequence[float], level: float) -> Markup:
    """Draw each component's standard deviation, and its Shapiro-Wilk p-value below."""
    numbers, p = np.arange(1, len(deviations) + 1), np.asarray(p_values)
    with plotting("spectrum"):
        figure = new_figure(10.4, 4.6)
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(numbers, deviations, color=INK)
        upper.set_yscale("log")
        upper.set_ylabel("standard deviation")
        failed = p < level
        # Below what a double can resolve; log scales have no place for 0.
        shown = np.maximum(p, 1e-16)
        lower.scatter(numbers[~failed], shown[~failed], s=12, color=MARK, label="passes")
        lower.scatter(numbers[failed], shown[failed], s=12, color=MISS, label="fails")
        lower.axhline(level, color=SOFT, linewidth=0.8, linestyle="--")
        lower.set_yscale("log")
        lower.set_ylabel("Shapiro-Wilk p")
        lower.set_xlabel("principal component")
        lower.legend(loc="lower right", ncols=2)
        return svg(figure, "Standard deviation and Shapiro-Wilk p-value of each component")


def plot_quantiles(scores: NDArray[np.floating]) -> Markup:
    """Draw normal quantile plots of some components of scores (N, K), from first to last."""
    count = scores.shape[1]
    chosen = np.unique(np.geomspace(1, count, _QUANTILE_PLOTS).round().astype(int)) - 1
    expected = stats.norm.ppf((np.arange(len(scores)) + 0.5) / len(scores))
    with plotting("quantiles"):
        figure = new_figure(10.4, 2.6)
        for axes, k in zip(figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0], chosen,
                           strict=True):  # fmt: skip
            found = np.sort((scores[:, k] - scores[:, k].mean()) / scores[:, k].std())
            axes.plot(expected, expected, color=SOFT, linewidth=0.8)
            axes.scatter(expected, found, s=4, color=INK, linewidths=0)
            axes.set_title(f"{k + 1}", fontsize=10)
            axes.set_xticks([-2, 0, 2])
        figure.supxlabel("quantile of the normal distribution", fontsize=10, color=SOFT)
        return svg(figure, "Normal quantile plots of some components")


def plot_distances(emd: Mapping[str, Sequence[float]], names: Mapping[str, str]) -> Markup:
    """Draw the mean distance of each distribution as a bar, its folds as dots."""
    with plotting("distances"):
        figure = new_figure(10.4, 0.5 + 0.45 * len(emd))
        axes = figure.subplots()
        for row, values in enumerate(emd.values()):
            axes.barh(row, np.mean(values), height=0.62, color="#b9b4a8")
            axes.scatter(values, [row] * len(values), s=14, color=INK, zorder=3)
        axes.set_yticks(range(len(emd)), [names[name] for name in emd])
        axes.tick_params(axis="y", left=False, labelcolor=INK)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("earth mover's distance to held-out prompts")
        return svg(figure, "Earth mover's distance of each distribution")
