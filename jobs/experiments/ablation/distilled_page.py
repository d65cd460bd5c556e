"""The page's part about students: taught, sampled and distilled with CDST, and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.experiments.ablation.distilled import (
    PHOTOGRAPHS,
    PICTURES,
    TWINS,
    read_twins,
    shown_pictures,
    twin_folder,
    twin_table,
)
from jobs.experiments.ablation.results import ordering_json
from jobs.experiments.ablation.rows import FULL, NO_CDST, Cell
from jobs.experiments.ablation.statistics import (
    AVERAGE,
    BETTER,
    Ordering,
    ScoreTable,
    orderings,
    ranked,
)
from jobs.experiments.ablation.table_rows import (
    Mark,
    OrderingLine,
    TableLine,
    ordering_line,
    style_title,
    table_score,
)
from jobs.experiments.ablation.workspace import Workspace
from jobs.pages.figures import Figure, make_figure
from pipeline.images.read import read_photograph

_TITLES = {FULL: "With CDST", NO_CDST: "Without CDST"}
_SETS = {PICTURES: "Held-out pictures", PHOTOGRAPHS: "Photographs"}
_SHOWN_SIDE = 224  # pixels; photographs are larger than the pictures beside them


@dataclass(frozen=True)
class StudentsSection:
    """One style's students: their table, its orderings, and pictures of the first seed."""

    title: str
    note: str
    sets: list[str]
    lines: list[TableLine]
    orderings: list[OrderingLine]
    columns: list[str]
    pictures: list[list[Figure]]


def students_section(workspace: Workspace, style: str, seeds: int) -> StudentsSection | None:
    """Gather one style's students for the page; None before the first is scored."""
    scores = read_twins(workspace, style, seeds)
    if not scores:
        return None
    table = twin_table(scores)
    sets = [name for name in _SETS if name in table[next(iter(BETTER))]]
    recipe = workspace.recipe
    note = (
        f"A teacher of each kind drew {recipe.dataset.samples} pairs, sampled as it was taught, "
        f"and a student learned from them in {recipe.distill.epochs} epochs. "
        f"{len(scores)} students; pictures are those of the first seed that has both."
    )
    return StudentsSection(
        title=f"Students in the style {style_title(style)}",
        note=note,
        sets=[_SETS[name] for name in sets],
        lines=_student_lines(table, sets),
        orderings=[
            ordering_line(f"{o.metric.upper()} on {_SETS[o.style].lower()}: CDST better", o, None)
            for o in _claims_of(table)
        ],
        columns=["Picture", "Truth", *_TITLES.values()],
        pictures=_student_pictures(workspace, style, scores),
    )


def students_json(workspace: Workspace, style: str, seeds: int) -> dict[str, Any] | None:
    """Return means, spreads and orderings of one style's students; None before one is scored."""
    scores = read_twins(workspace, style, seeds)
    if not scores:
        return None
    table = twin_table(scores)
    means = {
        metric: {
            name: {row: spread.by_seed for row, spread in table[metric][name].items()}
            for name in _SETS
            if name in table[metric]
        }
        for metric in BETTER
    }
    return {"by_seed": means, "orderings": [ordering_json(o) for o in _claims_of(table)]}


def _claims_of(table: ScoreTable) -> list[Ordering]:
    """Compare the students with CDST with those without, for each set of pictures."""
    return [ordering for ordering in orderings(table) if ordering.style != AVERAGE]


def _student_lines(table: ScoreTable, sets: list[str]) -> list[TableLine]:
    """Write the two rows of students."""
    columns = [(name, metric) for name in sets for metric in BETTER]

    def mark(row: str, column: tuple[str, str]) -> Mark:
        return "best" if ranked(table, column[1], column[0])[0] == row else ""

    return [
        TableLine(
            _TITLES[row],
            [
                table_score(table[metric][name].get(row), mark(row, (name, metric)))
                for name, metric in columns
            ],
            [],
        )
        for row in TWINS
    ]


def _student_pictures(
    workspace: Workspace, style: str, scores: Mapping[Cell, Mapping[str, Any]]
) -> list[list[Figure]]:
    """Show some pictures as the two students of one seed draw them."""
    whole = [s for s in {c.seed for c in scores} if all(Cell(style, r, s) in scores for r in TWINS)]
    if not whole:
        return []
    folders = {row: twin_folder(workspace, Cell(style, row, min(whole))).drawings for row in TWINS}
    lines = []
    for shown in shown_pictures(workspace, style):
        pixels = {"Picture": shown.picture, "Truth": shown.truth}
        for row, folder in folders.items():
            pixels[_TITLES[row]] = read_photograph(folder / f"{shown.name}.png")[..., 0]
        lines.append(
            [
                make_figure(drawn, f"{name}, {shown.name}", name, _SHOWN_SIDE)
                for name, drawn in pixels.items()
            ]
        )
    return lines
