"""The page's part about students: taught, sampled and distilled with CDST, and without."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.experiments.ablation.distilled import (
    PHOTOGRAPHS,
    PICTURES,
    TWINS,
    read_twins,
    shown,
    twin_folder,
    twin_table,
)
from jobs.experiments.ablation.results import ordering_json
from jobs.experiments.ablation.rows import FULL, NO_CDST, Cell
from jobs.experiments.ablation.statistics import AVERAGE, BETTER, Ordering, Table, orderings, ranked
from jobs.experiments.ablation.table_rows import (
    Line,
    OrderingLine,
    make_score,
    ordering_line,
    style_title,
)
from jobs.experiments.ablation.workspace import Workspace
from jobs.extract.photographs import read_photograph
from jobs.pages.figures import Figure, make_figure

TITLES = {FULL: "With CDST", NO_CDST: "Without CDST"}
SETS = {PICTURES: "Held-out pictures", PHOTOGRAPHS: "Photographs"}
SHOWN_SIDE = 224  # pixels; photographs are larger than the pictures beside them


@dataclass(frozen=True)
class Students:
    """One style's students: their table, its orderings, and pictures of the first seed."""

    title: str
    note: str
    sets: list[str]
    lines: list[Line]
    orderings: list[OrderingLine]
    columns: list[str]
    pictures: list[list[Figure]]


def claims_of(table: Table) -> list[Ordering]:
    """With CDST against without, for each set of pictures."""
    return [ordering for ordering in orderings(table) if ordering.style != AVERAGE]


def students_json(workspace: Workspace, style: str, seeds: int) -> dict[str, Any] | None:
    """Means, spreads and orderings of one style's students; None before the first is scored."""
    scores = read_twins(workspace, style, seeds)
    if not scores:
        return None
    table = twin_table(scores)
    means = {
        metric: {
            name: {row: spread.by_seed for row, spread in table[metric][name].items()}
            for name in SETS
            if name in table[metric]
        }
        for metric in BETTER
    }
    return {"by_seed": means, "orderings": [ordering_json(o) for o in claims_of(table)]}


def make_students(workspace: Workspace, style: str, seeds: int) -> Students | None:
    """Gather one style's students for the page; None before the first is scored."""
    scores = read_twins(workspace, style, seeds)
    if not scores:
        return None
    table = twin_table(scores)
    sets = [name for name in SETS if name in table[next(iter(BETTER))]]
    recipe = workspace.recipe
    note = (
        f"A teacher of each kind drew {recipe.dataset.samples} pairs, sampled as it was taught, "
        f"and a student learned from them in {recipe.distill.epochs} epochs. "
        f"{len(scores)} students; pictures are those of the first seed that has both."
    )
    return Students(
        title=f"Students in the style {style_title(style)}",
        note=note,
        sets=[SETS[name] for name in sets],
        lines=table_lines(table, sets),
        orderings=[
            ordering_line(f"{o.metric.upper()} on {SETS[o.style].lower()}: CDST better", o, None)
            for o in claims_of(table)
        ],
        columns=["Picture", "Truth", *TITLES.values()],
        pictures=make_pictures(workspace, style, scores),
    )


def table_lines(table: Table, sets: list[str]) -> list[Line]:
    """Write the two rows of students."""
    columns = [(name, metric) for name in sets for metric in BETTER]

    def mark(row: str, column: tuple[str, str]) -> str:
        return "best" if ranked(table, column[1], column[0])[0] == row else ""

    return [
        Line(
            TITLES[row],
            [
                make_score(table[metric][name].get(row), mark(row, (name, metric)))
                for name, metric in columns
            ],
            [],
        )
        for row in TWINS
    ]


def make_pictures(
    workspace: Workspace, style: str, scores: Mapping[Cell, Mapping[str, Any]]
) -> list[list[Figure]]:
    """Show some pictures as the two students of one seed draw them."""
    whole = [s for s in {c.seed for c in scores} if all(Cell(style, r, s) in scores for r in TWINS)]
    if not whole:
        return []
    folders = {row: twin_folder(workspace, Cell(style, row, min(whole))).drawings for row in TWINS}
    lines = []
    for one in shown(workspace, style):
        pixels = {"Picture": one.picture, "Truth": one.truth}
        for row, folder in folders.items():
            pixels[TITLES[row]] = read_photograph(folder / f"{one.name}.png")[..., 0]
        lines.append(
            [
                make_figure(drawn, f"{name}, {one.name}", name, SHOWN_SIDE)
                for name, drawn in pixels.items()
            ]
        )
    return lines
