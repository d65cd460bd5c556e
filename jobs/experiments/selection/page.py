"""The page of a selection: what was chosen, the check, the search for K, the trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs.experiments.selection.analysis import Check, Method, Outcome, balanced
from jobs.experiments.selection.classes import Classes
from jobs.experiments.selection.features import Features
from jobs.experiments.selection.plots import (
    METHOD_NAMES,
    class_colour,
    plot_check,
    plot_counts,
    plot_curves,
    plot_steps,
    plot_trajectories,
)
from jobs.pages.facts import Fact, fingerprints_text, machine_fact, versions_fact
from jobs.pages.figures import Figure, make_figure
from jobs.pages.page import write_page
from pipeline.arrays import Pixels


@dataclass(frozen=True)
class CheckRow:
    """One line of the check; chosen: the selection that becomes the default."""

    name: str
    on_axes: str
    in_full: str
    chosen: bool


@dataclass(frozen=True)
class ShownClass:
    """One class: an image of it, its colour in the plot, how many images it has."""

    name: str
    figure: Figure
    colour: str
    images: int


def write_selection_page(
    path: Path, outcome: Outcome, classes: Classes, features: Features, figures: Mapping[str, Any]
) -> Path:
    """Write the page of a selection; return its path.

    Args:
        figures: what is kept as the selection's JSON.
    """
    chosen = outcome.steps[outcome.default]
    fitted = balanced(classes, figures["seed"])
    drawn, part = outcome.basis.points[fitted], replace(classes, labels=classes.labels[fitted])
    return write_page(
        path,
        "select.html.j2",
        title="The steps that stand for the process",
        lead=f"{outcome.count} of {figures['process_steps']} denoising steps of the backbone "
        f"“{figures['backbone']}”, chosen by how its features move while it makes images.",
        facts=_selection_facts(outcome, figures),
        count=outcome.count,
        selected_note=f"In use: {METHOD_NAMES[outcome.default].lower()}, {_listed(chosen)}.",
        steps_plot=plot_steps(outcome.steps, figures["process_steps"]),
        check_note="How far all features lie from the nearest selected one, summed over images "
        f"and steps. The selection in use {_check_verdict(outcome.on_axes, outcome.default)}.",
        check_rows=_check_rows(outcome),
        check_caption="Sum of Euclidean distances, lower is better. In full: without principal "
        f"axes, where the selection in use {_check_verdict(outcome.in_full, outcome.default)}.",
        check_plot=plot_check(outcome.on_axes),
        count_note=_count_note(outcome),
        curves_plot=plot_curves(outcome.counts, outcome.count),
        counts_plot=plot_counts(outcome.counts, outcome.count),
        histogram_note=_histogram_note(outcome),
        axes_note=_axes_note(outcome),
        by_step_plot=plot_trajectories(drawn, chosen),
        by_class_plot=plot_trajectories(drawn, chosen, part),
        class_note=f"Classes: {classes.source}.",
        classes=_shown_classes(classes, features.thumbnails),
        provenance=_selection_provenance(figures),
        fingerprints_text=fingerprints_text(figures["fingerprint"]),
    )


def _selection_facts(outcome: Outcome, figures: Mapping[str, Any]) -> list[Fact]:
    """Choose the four numbers at the top."""
    value = outcome.on_axes.methods[outcome.default]
    less = 1 - value / outcome.on_axes.methods["equal"]
    words = "below" if less >= 0 else "above"
    return [
        Fact("Steps", f"{outcome.count} of {figures['process_steps']}",
             _listed(outcome.steps[outcome.default])),
        Fact("Images", f"{figures['images']:,}", f"guidance {figures['guidance']:g}"),
        Fact("Least distances", _distance_text(value), f"{abs(less):.1%} {words} equal intervals"),
        Fact("Memory", f"{figures['peak_gib']:.1f} GiB", "at most, in any process that sampled"),
    ]  # fmt: skip


def _check_rows(outcome: Outcome) -> list[CheckRow]:
    """List the rows of DiffSketch's Table 4, best first."""
    rows = [
        (outcome.on_axes.methods[name], CheckRow(
            METHOD_NAMES[name], _distance_text(outcome.on_axes.methods[name]),
            _distance_text(outcome.in_full.methods[name]), name == outcome.default))
        for name in outcome.steps
    ]  # fmt: skip
    for word, pick in (("Best", min), ("Mean", np.mean), ("Worst", max)):
        on_axes, in_full = (float(pick(c.random)) for c in (outcome.on_axes, outcome.in_full))
        name = f"{word} of {len(outcome.on_axes.random)} random sets"
        rows.append(
            (on_axes, CheckRow(name, _distance_text(on_axes), _distance_text(in_full), False))
        )
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _check_verdict(check: Check, method: Method) -> str:
    """Say in words what a method beats."""
    value = check.methods[method]
    better = sum(distance <= value for distance in check.random)
    equal = (
        "beats equal intervals" if value < check.methods["equal"] else "loses to equal intervals"
    )
    if not better:
        return f"{equal} and every random set"
    return f"{equal}; {better} of {len(check.random)} random sets are as good or better"


def _count_note(outcome: Outcome) -> str:
    """Say how K was chosen and whether the images agree."""
    modes = {count.agreement.mode for count in outcome.counts}
    agree = (
        f"which is also the K that most images choose ({outcome.count})"
        if modes == {outcome.count}
        else "but the K that most images choose is "
        + " and ".join(f"{c.agreement.mode} ({c.components} components)" for c in outcome.counts)
    )
    return (
        "Every image’s steps are clustered for each K. Its own K has the same rank by silhouette "
        "and by the Davies-Bouldin index; the smallest such rank wins, and where none is equal, "
        f"the smallest sum. K = {outcome.count} is the rounded mean over images, {agree}."
    )


def _histogram_note(outcome: Outcome) -> str:
    """Write mean, deviation and matches of both searches in one line."""
    images = len(outcome.basis.points)
    return " ".join(
        f"{count.components} components: mean {count.agreement.mean:.2f}, standard deviation "
        f"{count.agreement.deviation:.2f}, {count.agreement.matched:,} of {images:,} images with "
        "an equal rank."
        for count in outcome.counts
    )


def _axes_note(outcome: Outcome) -> str:
    """Say what the axes are and how much they keep."""
    variance = outcome.basis.variance
    return (
        "Each line is one image, from noise to its last step. The principal axes are fitted to "
        f"{outcome.basis.images} images, as many of every class as far as there are; the first "
        f"two keep {variance[:2].sum():.0%} of the variance, {len(variance)} keep "
        f"{variance.sum():.0%}."
    )


def _shown_classes(classes: Classes, thumbnails: Pixels) -> list[ShownClass]:
    """Show one image of every class, the first."""
    shown = []
    for label, name in enumerate(classes.names):
        members = np.flatnonzero(classes.labels == label)
        figure = make_figure(thumbnails[members[0]], f"An image of the class {name}")
        shown.append(ShownClass(name, figure, class_colour(label), len(members)))
    return shown


def _selection_provenance(figures: Mapping[str, Any]) -> list[Fact]:
    """List what is needed to make the selection again."""
    return [
        Fact("Backbone", figures["backbone"]),
        Fact("Process", f"DDIM, {figures['process_steps']} steps, "
                        f"guidance {figures['guidance']:g}"),
        Fact("Images", f"{figures['images']:,}, seed {figures['seed']}"),
        Fact("Features", f"{figures['values_per_step']:,} values an image and step, projected to "
                         f"{figures['projection_dims']:,}"),
        machine_fact(figures["machine"]),
        versions_fact(figures["versions"]),
    ]  # fmt: skip


def _distance_text(value: float) -> str:
    """Write a sum of distances as DiffSketch does."""
    return f"{value:,.1f}"


def _listed(steps: tuple[int, ...]) -> str:
    """Write steps as a list for the eye."""
    return ", ".join(map(str, steps))
