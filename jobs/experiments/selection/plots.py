"""The plots of a selection, as DiffSketch has them: trajectories, curves, histogram, check.

Shapes: N images, T steps, C principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from jobs.experiments.selection.analysis import Check, CountSearch, Method
from jobs.experiments.selection.classes import Classes
from jobs.pages.plots import INK, MARK, MISS, RAMP, SOFT, new_figure, plotting, svg

# Seventeen colours that can be told apart on paper; more classes share them.
_CLASS_COLOURS = (
    "#a3442f", "#1f6f54", "#c98a1b", "#3b5b92", "#7a4b8c", "#5e8c31", "#c2577b", "#2f8f9d",
    "#7d5a3c", "#4b4b4b", "#d1694b", "#6b8fc9", "#97a13a", "#a86fb0", "#3f7f6a", "#b59a5b",
    "#8c2f4a",
)  # fmt: skip
METHOD_NAMES: dict[Method, str] = {
    "representative": "Nearest to cluster centres",
    "medoid": "Optimum (k-medoids)",
    "equal": "Equal intervals",
}
_METHOD_COLOURS: dict[Method, str] = {"representative": MARK, "medoid": "#3b5b92", "equal": MISS}
_SHOWN_AXES = ((0, 1), (0, 2))


def plot_steps(steps: Mapping[Method, Sequence[int]], num_steps: int) -> Markup:
    """Show which steps each method selects, in the order of sampling: noise left, image right."""
    with plotting("steps"):
        figure = new_figure(10.4, 1.7)
        axes = figure.subplots()
        for row, (name, chosen) in enumerate(steps.items()):
            axes.scatter(range(num_steps), [row] * num_steps, s=9, color="#cfcabf", linewidths=0)
            axes.scatter(chosen, [row] * len(chosen), s=58, color=_METHOD_COLOURS[name])
        axes.set_yticks(range(len(steps)), [METHOD_NAMES[name] for name in steps])
        axes.tick_params(left=False, labelcolor=INK)
        axes.set_ylim(len(steps) - 0.4, -0.6)
        axes.set_xlim(num_steps - 0.4, -0.6)
        axes.set_xlabel("step t, counted from the end: sampling runs from left to right")
        axes.grid(False)
        axes.spines["left"].set_visible(False)
        return svg(figure, "Selected steps of each method on a line of all steps")


def plot_check(check: Check) -> Markup:
    """Draw the sums of least distances: random sets as a histogram, methods as lines."""
    with plotting("check"):
        figure = new_figure(10.4, 2.8)
        axes = figure.subplots()
        axes.hist(check.random, bins=24, color="#b9b4a8", label=f"{len(check.random)} random sets")
        for name, value in check.methods.items():
            axes.axvline(value, color=_METHOD_COLOURS[name], label=METHOD_NAMES[name],
                         linestyle="--" if name == "medoid" else "-")  # fmt: skip
        axes.set_xlabel("sum of the least distances to a selected step, lower is better")
        axes.set_ylabel("sets")
        axes.legend(loc="upper right")
        return svg(figure, "Random sets of steps against the selected ones")


def plot_curves(counts: Sequence[CountSearch], selected: int) -> Markup:
    """Draw WCSS, silhouette and Davies-Bouldin against K: images' mean and middle half."""
    kinds = (("wcss", "within-cluster sum of squares"), ("silhouette", "silhouette (high is good)"),
             ("davies_bouldin", "Davies-Bouldin (low is good)"))  # fmt: skip
    with plotting("curves"):
        figure = new_figure(10.4, 3.0)
        for axes, (name, title) in zip(figure.subplots(1, 3), kinds, strict=True):
            for count, colour in zip(counts, (INK, MARK), strict=True):
                values, numbers = getattr(count.curves, name), count.curves.counts
                low, high = np.quantile(values, (0.25, 0.75), axis=0)
                axes.fill_between(numbers, low, high, color=colour, alpha=0.13, linewidth=0)
                axes.plot(numbers, values.mean(0), color=colour,
                          label=f"{count.components} components")  # fmt: skip
            axes.axvline(selected, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_title(title)
            axes.set_xlabel("number of clusters K")
        figure.axes[0].legend()
        return svg(figure, "Scores of the clusterings against the number of clusters")


def plot_counts(counts: Sequence[CountSearch], selected: int) -> Markup:
    """Draw how many images choose each K, for each number of components."""
    with plotting("counts"):
        figure = new_figure(10.4, 2.8)
        panels = figure.subplots(1, len(counts), sharey=True)
        for axes, count, colour in zip(panels, counts, (INK, MARK), strict=True):
            numbers = count.curves.counts
            heights = [(count.agreement.chosen == k).sum() for k in numbers]
            axes.bar(numbers, heights, width=0.8, color=colour, alpha=0.8)
            axes.axvline(selected, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_title(f"{count.components} components")
            axes.set_xlabel("K of an image")
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylabel("images")
        return svg(figure, "Histogram of the images' own number of clusters")


def plot_trajectories(
    points: NDArray[np.floating], selected: Sequence[int], classes: Classes | None = None
) -> Markup:
    """Draw each image's trajectory in the principal axes, by step or by class.

    Args:
        points: (N, T, C).
        selected: steps that get a ring where they lie on average.
        classes: what colours go by; None: steps.
    """
    name = "trajectories-classes" if classes else "trajectories-steps"
    shown = [pair for pair in _SHOWN_AXES if max(pair) < points.shape[2]]
    with plotting(name):
        figure = new_figure(10.4, 4.6)
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (x, y) in zip(panels, shown, strict=True):
            flat = points[:, :, [x, y]]
            axes.set_xlabel(f"principal axis {x + 1}")
            axes.set_ylabel(f"principal axis {y + 1}")
            if classes:
                _by_class(axes, flat, classes)
            else:
                lines = _by_step(axes, flat)
                centre = flat[:, list(selected)].mean(0)
                axes.scatter(*centre.T, s=26, facecolor="white", edgecolor=INK, zorder=3)
            axes.autoscale_view()
        if not classes:
            figure.colorbar(lines, ax=figure.axes, label="step t (0: the last)", pad=0.01)
        return svg(figure, f"Trajectories of {len(points)} images on principal axes")


def class_colour(label: int) -> str:
    """Return the colour of a class."""
    return _CLASS_COLOURS[label % len(_CLASS_COLOURS)]


def _by_step(axes: Any, flat: NDArray[np.floating]) -> LineCollection:
    # Drawn as segments between neighbouring steps, each in the colour of its later step.
    segments = np.concatenate([np.stack([a, b], 1) for a, b in pairwise(flat.swapaxes(0, 1))])
    colours = np.repeat(np.arange(flat.shape[1] - 1), len(flat))
    lines = LineCollection(
        list(segments), array=colours, cmap=RAMP.reversed(), norm=Normalize(0, flat.shape[1] - 1),
        linewidths=0.7, alpha=0.7, rasterized=True,
    )  # fmt: skip
    axes.add_collection(lines)
    return lines


def _by_class(axes: Any, flat: NDArray[np.floating], classes: Classes) -> None:
    colours = [class_colour(label) for label in classes.labels]
    lines = LineCollection(list(flat), colors=colours, linewidths=0.7, alpha=0.5, rasterized=True)
    axes.add_collection(lines)
    axes.scatter(*flat[:, 0].T, s=7, c=colours, linewidths=0, rasterized=True)
