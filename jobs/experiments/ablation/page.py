"""The page of an ablation: DiffSketch's Table 1 as measured here, orderings, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from markupsafe import Markup

from jobs.evaluation.picture_sets import LINE_ART
from jobs.evaluation.scores_section import METHODS
from jobs.experiments.ablation.distilled_page import students_section
from jobs.experiments.ablation.plots import paper_advantage, plot_advantages
from jobs.experiments.ablation.results import Results
from jobs.experiments.ablation.rows import FULL, NO_VAE, ROWS, Cell
from jobs.experiments.ablation.statistics import (
    AVERAGE,
    BETTER,
    PAPER,
    full_against_best,
    ranked,
    worst_is_no_vae,
)
from jobs.experiments.ablation.table_rows import (
    Mark,
    OrderingLine,
    TableLine,
    TableScore,
    ordering_line,
    signed,
    style_title,
    table_score,
)
from jobs.experiments.ablation.trainings import DRAWINGS, SKETCHES, read_drawings, read_pictures
from jobs.experiments.ablation.workspace import Workspace, picture_set
from jobs.pages.facts import Fact, machine_fact, versions_fact
from jobs.pages.figures import Figure, make_figure
from jobs.pages.page import write_page
from training.evaluation.evaluate import BASELINES


@dataclass(frozen=True)
class PictureGrid:
    """Pictures of one style: a line a picture; columns are picture, truth and the rows."""

    title: str
    note: str
    columns: list[str]
    lines: list[list[Figure]]
    plot: Markup


def write_ablation_page(
    path: Path, workspace: Workspace, results: Results, metadata: Mapping[str, Any]
) -> Path:
    """Write the page of an ablation; return its path.

    Args:
        metadata: where the results come from: `machine` and `versions`.
    """
    seeds = max(results.seeds) + 1
    students = [students_section(workspace, style, seeds) for style in results.styles]
    return write_page(
        path,
        "ablation.html.j2",
        title="What each part of the method is worth",
        lead=_lead(results),
        facts=_ablation_facts(workspace, results),
        styles=[style_title(style) for style in (*results.styles, AVERAGE)],
        metrics=[metric.upper() for metric in BETTER],
        lines=_table_lines(results),
        orderings=_ordering_lines(results),
        average_plot=plot_advantages(results.claims, AVERAGE, with_paper=True),
        students=[section for section in students if section is not None],
        grids=[_picture_grid(workspace, results, style) for style in results.styles],
        steps=_step_lines(workspace),
        provenance=_ablation_provenance(workspace, results, metadata),
        recipe_text=yaml.safe_dump(workspace.recipe.resolved(), sort_keys=False),
    )


def _lead(results: Results) -> str:
    """Sum up the outcome in computed words."""
    average = [o for o in results.claims if o.style == AVERAGE]
    held = sum(o.verdict == "holds" for o in average)
    against = sum(o.verdict == "reversed" for o in average)
    if not average:
        return "Trainings are still under way: no average is complete yet."
    if all(o.verdict == "one seed" for o in average):
        agreeing = sum(o.advantage.mean > 0 for o in average)
        return (
            "The seven rows of the paper’s Table 1, scored where the truth is known. One seed: "
            f"{agreeing} of {len(average)} orderings point the paper’s way, and none can be tested."
        )
    return (
        "The seven rows of the paper’s Table 1, trained on common seeds and scored where the truth "
        f"is known. Of the {len(average)} orderings that the paper’s averages show, {held} "
        f"hold beyond the spread of seeds, {against} are reversed beyond it, and "
        f"{len(average) - held - against} lie within it."
    )


def _ablation_facts(workspace: Workspace, results: Results) -> list[Fact]:
    """Choose the four numbers at the top."""
    teach = workspace.teach
    return [
        Fact("Trainings", f"{len(results.scores)}",
             f"{teach.iterations:,} iterations each, {_count_seeds(results)}"),
        Fact("Scored on", f"{workspace.images} pictures", "that no training has seen"),
        *(_best_fact(results, metric) for metric in BETTER),
    ]  # fmt: skip


def _best_fact(results: Results, metric: str) -> Fact:
    """Say where the full method stands on average in one metric."""
    order = ranked(results.table, metric, AVERAGE)
    title = f"Full method, {metric.upper()}"
    if FULL not in order:
        return Fact(title, "–", "not finished")
    own = results.table[metric][AVERAGE][FULL]
    rival = full_against_best(results.table, metric)
    note = f"rank {order.index(FULL) + 1} of {len(order)}"
    if rival is not None:
        note += f"; against “{ROWS[rival.worse].title}” {signed(rival.advantage.mean)}"
    return Fact(title, f"{own.mean:.4f}", note)


def _count_seeds(results: Results) -> str:
    """Say how many seeds there are."""
    count = len(results.seeds)
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _columns_of(results: Results) -> list[tuple[str, str]]:
    """List the columns of the table: (style, metric)."""
    styles = [*results.styles, AVERAGE]
    return [(style, metric) for style in styles for metric in BETTER]


def _table_lines(results: Results) -> list[TableLine]:
    """Write the seven rows and, below them, the baselines."""
    columns = _columns_of(results)
    extremes = {c: ranked(results.table, c[1], c[0]) for c in columns}

    def mark(row: str, column: tuple[str, str]) -> Mark:
        order = extremes[column]
        return "best" if order[:1] == [row] else "worst" if order[-1:] == [row] else ""

    lines = []
    for row in ROWS.values():
        scores = [
            table_score(results.table[metric][style].get(row.name), mark(row.name, (style, metric)))
            for style, metric in columns
        ]
        lines.append(TableLine(row.title, scores, [f"{value:.4f}" for value in PAPER[row.name]]))
    for name in BASELINES:
        means = [TableScore(f"{results.baselines[s][name][m]:.4f}", "") for s, m in columns]
        lines.append(TableLine(METHODS[name], means, ["", ""]))
    return lines


def _ordering_lines(results: Results) -> list[OrderingLine]:
    """Write the paper's orderings on average, then the best and the worst row."""
    lines = []
    for metric in BETTER:
        name = metric.upper()
        for ordering in results.claims:
            if (ordering.metric, ordering.style) == (metric, AVERAGE):
                title = f"{name}: full better than “{ROWS[ordering.worse].title}”"
                lines.append(ordering_line(title, ordering, paper_advantage(ordering)))
        worst = worst_is_no_vae(results.table, metric)
        if worst is not None:
            title = f"{name}: “{ROWS[NO_VAE].title}” worst, after “{ROWS[worst.better].title}”"
            lines.append(ordering_line(title, worst, None))
    return lines


def _picture_grid(workspace: Workspace, results: Results, style: str) -> PictureGrid:
    """Show some pictures of one style as every row draws them, all from the first seed."""
    seed = results.seeds[0]
    finished = [row for row in ROWS if Cell(style, row, seed) in results.scores]
    pictures = read_pictures(workspace, picture_set(style))
    columns = {"Picture": pictures, "Truth": read_drawings(workspace.truth(style) / DRAWINGS)}
    for row in finished:
        path = workspace.training(Cell(style, row, seed)) / SKETCHES
        columns[ROWS[row].title] = read_drawings(path)
    lines = [
        [make_figure(drawn[i], f"{name}, picture {i + 1}", name) for name, drawn in columns.items()]
        for i in workspace.shown
    ]
    origin = "Procedural scenes" if style == LINE_ART else "Generated from held-out captions"
    note = f"{origin}, evenly spaced over all {len(pictures)}; teachers of seed {seed}."
    plot = plot_advantages(results.claims, style)
    return PictureGrid(style_title(style), note, list(columns), lines, plot)


def _step_lines(workspace: Workspace) -> list[tuple[str, list[bool]]]:
    """Say for each row which steps it taps, from the last (0) to the first."""
    steps = workspace.recipe.sampler.steps
    tapped = {
        row.title: set(row.timesteps(workspace.timesteps, steps))
        for row in ROWS.values()
        if row.steps != "representative" or row.name == FULL
    }
    return [(title, [t in chosen for t in range(steps)]) for title, chosen in tapped.items()]


def _ablation_provenance(
    workspace: Workspace, results: Results, metadata: Mapping[str, Any]
) -> list[Fact]:
    """List what is needed to make all of it again."""
    teach, sampling = workspace.teach, workspace.recipe.sampler
    seconds = [scores["training_s"] for scores in results.scores.values()]
    return [
        Fact("Backbone", workspace.recipe.backbone),
        Fact("Prompt", workspace.recipe.example.prompt),
        Fact("Seeds", ", ".join(map(str, results.seeds))),
        Fact("Training", f"{teach.iterations} iterations, CDST over {teach.diffusion_duration}, "
                         f"{sampling.steps} steps, guidance {sampling.guidance}"),
        Fact("Networks", f"CLIP {teach.clip}, perceptual {teach.perceptual} (losses and LPIPS)"),
        Fact("Time of one training", f"{np.median(seconds):.0f} s (median of {len(seconds)})"),
        machine_fact(metadata["machine"]),
        versions_fact(metadata["versions"]),
    ]  # fmt: skip
