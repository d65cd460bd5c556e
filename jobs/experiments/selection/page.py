"""The page of a selection: what was chosen, the check, the search for K, the features' ways."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from jobs.experiments.selection.analysis import Check, Outcome, balanced
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
from jobs.pages.figures import Figure, make_figure
from jobs.report.report import Fact
from pipeline.whole_file import write_bytes

TEMPLATE = "select.html.j2"


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


def number(value: float) -> str:
    """Write a sum of distances as the paper does."""
    return f"{value:,.1f}"


def listed(steps: tuple[int, ...]) -> str:
    """Write steps as a list for the eye."""
    return ", ".join(map(str, steps))


def check_rows(outcome: Outcome) -> list[CheckRow]:
    """Give the lines of Table 4, best first."""
    rows = [
        (outcome.on_axes.methods[name], CheckRow(
            METHOD_NAMES[name], number(outcome.on_axes.methods[name]),
            number(outcome.in_full.methods[name]), name == outcome.default))
        for name in outcome.steps
    ]  # fmt: skip
    for word, pick in (("Best", min), ("Mean", np.mean), ("Worst", max)):
        on_axes, in_full = (float(pick(c.random)) for c in (outcome.on_axes, outcome.in_full))
        name = f"{word} of {len(outcome.on_axes.random)} random sets"
        rows.append((on_axes, CheckRow(name, number(on_axes), number(in_full), False)))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def verdict(check: Check, method: str) -> str:
    """Say in words what a method beats."""
    value, better = (
        check.methods[method],
        sum(each <= check.methods[method] for each in check.random),
    )
    equal = (
        "beats equal intervals" if value < check.methods["equal"] else "loses to equal intervals"
    )
    if not better:
        return f"{equal} and every random set"
    return f"{equal}; {better} of {len(check.random)} random sets are as good or better"


def key_facts(outcome: Outcome, figures: dict[str, Any]) -> list[Fact]:
    """Choose the four numbers at the top."""
    value = outcome.on_axes.methods[outcome.default]
    less = 1 - value / outcome.on_axes.methods["equal"]
    words = "below" if less >= 0 else "above"
    return [
        Fact("Steps", f"{outcome.count} of {figures['process_steps']}",
             listed(outcome.steps[outcome.default])),
        Fact("Images", f"{figures['images']:,}", f"guidance {figures['guidance']:g}"),
        Fact("Least distances", number(value), f"{abs(less):.1%} {words} equal intervals"),
        Fact("Memory", f"{figures['peak_gib']:.1f} GiB", "at most, in any process that sampled"),
    ]  # fmt: skip


def count_note(outcome: Outcome) -> str:
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


def histogram_note(outcome: Outcome) -> str:
    """Give mean, deviation and matches of both searches in one line."""
    images = len(outcome.basis.points)
    return " ".join(
        f"{count.components} components: mean {count.agreement.mean:.2f}, standard deviation "
        f"{count.agreement.deviation:.2f}, {count.agreement.matched:,} of {images:,} images with "
        "an equal rank."
        for count in outcome.counts
    )


def shown_classes(classes: Classes, thumbnails: np.ndarray) -> list[ShownClass]:
    """Show one image of every class, the first."""
    shown = []
    for label, name in enumerate(classes.names):
        members = np.flatnonzero(classes.labels == label)
        figure = make_figure(thumbnails[members[0]], f"An image of the class {name}")
        shown.append(ShownClass(name, figure, class_colour(label), len(members)))
    return shown


def axes_note(outcome: Outcome) -> str:
    """Say what the axes are and how much they keep."""
    variance = outcome.basis.variance
    return (
        "Each line is one image, from noise to its last step. The principal axes are fitted to "
        f"{outcome.basis.images} images, as many of every class as far as there are; the first "
        f"two keep {variance[:2].sum():.0%} of the variance, {len(variance)} keep "
        f"{variance.sum():.0%}."
    )


def provenance(figures: dict[str, Any]) -> list[Fact]:
    """List what is needed to make the selection again."""
    machine = figures["machine"]
    return [
        Fact("Backbone", figures["backbone"]),
        Fact("Process", f"DDIM, {figures['process_steps']} steps, "
                        f"guidance {figures['guidance']:g}"),
        Fact("Images", f"{figures['images']:,}, seed {figures['seed']}"),
        Fact("Features", f"{figures['values_per_step']:,} values an image and step, projected to "
                         f"{figures['projection_dims']:,}"),
        Fact("Machine", "{processor}, {cores} cores, device {device} ({dtype}), {system}".format(
            **machine)),
        Fact("Versions", ", ".join(f"{k} {v}" for k, v in figures["versions"].items())),
    ]  # fmt: skip


def compose(
    outcome: Outcome, classes: Classes, features: Features, figures: dict[str, Any]
) -> dict[str, Any]:
    """Gather everything that the template shows."""
    chosen = outcome.steps[outcome.default]
    fitted = balanced(classes, figures["seed"])
    drawn, part = outcome.basis.points[fitted], replace(classes, labels=classes.labels[fitted])
    return {
        "title": "The steps that stand for the process",
        "lead": f"{outcome.count} of {figures['process_steps']} denoising steps of the backbone "
        f"“{figures['backbone']}”, chosen by how its features move while it makes images.",
        "facts": key_facts(outcome, figures),
        "count": outcome.count,
        "selected_note": f"In use: {METHOD_NAMES[outcome.default].lower()}, {listed(chosen)}.",
        "steps_plot": plot_steps(outcome.steps, figures["process_steps"]),
        "check_note": "How far all features lie from the nearest selected one, summed over images "
        f"and steps. The selection in use {verdict(outcome.on_axes, outcome.default)}.",
        "check_rows": check_rows(outcome),
        "check_caption": "Sum of Euclidean distances, lower is better. In full: without principal "
        f"axes, where the selection in use {verdict(outcome.in_full, outcome.default)}.",
        "check_plot": plot_check(outcome.on_axes),
        "count_note": count_note(outcome),
        "curves_plot": plot_curves(outcome.counts, outcome.count),
        "counts_plot": plot_counts(outcome.counts, outcome.count),
        "histogram_note": histogram_note(outcome),
        "axes_note": axes_note(outcome),
        "by_step_plot": plot_trajectories(drawn, chosen),
        "by_class_plot": plot_trajectories(drawn, chosen, part),
        "class_note": f"Classes: {classes.source}.",
        "classes": shown_classes(classes, features.thumbnails),
        "provenance": provenance(figures),
        "fingerprints_text": "\n".join(
            f"{digest}  {place}" for place, digest in sorted(figures["fingerprint"].items())
        ),
        "version": figures["versions"]["onesketch"],
        "made_on": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }


def write_page(path: Path, context: dict[str, Any]) -> None:
    """Write the page of a selection."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs", "pages/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    write_bytes(path, environment.get_template(TEMPLATE).render(context).encode())
