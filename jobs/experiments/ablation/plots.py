"""Plots of an ablation: what the full method gains over each row, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from jobs.experiments.ablation.rows import FULL, ROWS
from jobs.experiments.ablation.statistics import BETTER, PAPER, Ordering
from jobs.pages.plots import INK, MARK, MISS, SOFT, new_figure, plotting, svg

_WIDTH, _HEIGHT = 10.2, 2.5  # inches; height of one style's pair of panels
_COLOURS = {"holds": MARK, "reversed": MISS}
_PAPER_MARK = "D"
_FAR = 3.0  # times the second largest gain


def plot_advantages(claims: Sequence[Ordering], style: str, with_paper: bool = False) -> Markup:
    """Draw, for each metric, the full method's advantage over every other row in one style."""
    metrics = [m for m in BETTER if any((o.metric, o.style) == (m, style) for o in claims)]
    with plotting(f"ablation-{style}"):
        figure = new_figure(_WIDTH, _HEIGHT)
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for panel, metric in zip(panels, metrics, strict=True):
            shown = [o for o in claims if (o.metric, o.style) == (metric, style)]
            _draw_panel(panel, shown, metric, with_paper)
        return svg(figure, f"Advantage of the full method over each row, {style}")


def paper_advantage(ordering: Ordering) -> float:
    """Return what the full method gains over a row in DiffSketch's averages."""
    column = list(BETTER).index(ordering.metric)
    gain = PAPER[FULL][column] - PAPER[ordering.worse][column]
    return gain if BETTER[ordering.metric] == "higher" else -gain


def _draw_panel(panel: Any, shown: Sequence[Ordering], metric: str, with_paper: bool) -> None:
    """Draw one metric: a line of dots per row, the first row on top."""
    panel.axvline(0, color=INK, linewidth=0.8)
    for y, ordering in enumerate(reversed(shown)):
        colour = _COLOURS.get(ordering.verdict, SOFT)
        interval = ordering.advantage.interval()
        if interval is not None:
            panel.plot(interval, [y, y], color=colour, linewidth=5, alpha=0.25,
                       solid_capstyle="butt")  # fmt: skip
        seeds = list(ordering.advantage.by_seed.values())
        panel.plot(seeds, [y] * len(seeds), "o", color=colour, markersize=4.5, alpha=0.8)
        if with_paper:
            panel.plot([paper_advantage(ordering)], [y], _PAPER_MARK, markerfacecolor="none",
                       markeredgecolor=INK, markersize=6)  # fmt: skip
    _mark_far_ones(panel, list(reversed(shown)))
    titles = [ROWS[ordering.worse].title for ordering in reversed(shown)]
    panel.set_yticks(range(len(titles)), titles)
    panel.set_ylim(-0.6, len(titles) - 0.4)
    panel.grid(axis="y", visible=False)
    panel.set_title(f"{metric.upper()}: gain of the full method")


def _mark_far_ones(panel: Any, shown: Sequence[Ordering]) -> None:
    """Cut the axis where one row lies far beyond all others, and write its gain at the edge."""
    means = sorted(abs(ordering.advantage.mean) for ordering in shown)
    low, high = panel.get_xlim()
    if len(means) < 2 or means[-1] < _FAR * means[-2]:
        return
    high = _FAR * means[-2]
    panel.set_xlim(max(low, -high), high)
    for y, ordering in enumerate(shown):
        gain = ordering.advantage.mean
        if gain > high:
            panel.text(high, y, f"{gain:+.3f} \u2192 ", ha="right", va="center", color=INK)
