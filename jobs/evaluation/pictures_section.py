"""Held-out pictures side by side, as the report shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.evaluation.picture_sets import TEACHER
from jobs.evaluation.scores_section import TRUTHS
from jobs.evaluation.side_by_side import EXTRACTOR, PICTURE, TRUTH
from jobs.extract.photographs import read_photograph
from jobs.pages.figures import Figure, make_figure

PICTURES = {
    "generated": "Generated",
    "photographs": "Photograph",
    "scenes": "Scene",
    "drawn": "Picture",
}
HEADINGS = {
    "generated": "On generated images it has not seen",
    "photographs": "On real photographs",
    "scenes": "On procedural scenes",
    "drawn": "On drawn pictures",
}
NOTES = {
    "generated": "Samples beyond the dataset's last index: the teacher drew them only now.",
    "photographs": "The extractor saw none while it learned: only what the teacher generated.",
    "scenes": "Scenes beyond the seeds that trained the embedded models.",
    "drawn": "Pictures with drawings given for comparison.",
}


@dataclass(frozen=True)
class ShownSet:
    """One section of side-by-side pictures: rows of figures under column headings."""

    heading: str
    note: str
    columns: list[str]
    rows: list[list[Figure]]


def column_titles(scores: dict[str, Any]) -> dict[str, str]:
    """Title every column of a set."""
    truth = TRUTHS.get(scores["truth"], scores["truth"])
    return {
        PICTURE: PICTURES[scores["name"]],
        TRUTH: f"{truth[:1].upper()}{truth[1:]} (truth)",
        TEACHER: "Teacher",
        EXTRACTOR: "Extractor",
        "sobel": "Sobel edges",
    }


def read_figure(path: Path, name: str, column: str, title: str) -> Figure:
    """Read one picture; drawings become grey so that they are kept without loss."""
    pixels = read_photograph(path)
    if column != PICTURE:
        pixels = pixels[..., 0]
    alt = f"{title}: {name}" if column == PICTURE else f"{title} of {name}"
    return make_figure(pixels, alt, title)


def shown_sets(folder: Path, sets: Sequence[dict[str, Any]]) -> list[ShownSet]:
    """Read the pictures that `evaluate` kept."""
    shown = []
    for scores in sets:
        titles = column_titles(scores)
        columns = scores["columns"]
        place = folder / scores["name"]
        rows = [
            [
                read_figure(place / f"{name}.{column}.png", name, column, titles[column])
                for column in columns
            ]
            for name in scores["shown"]
        ]
        shown.append(
            ShownSet(
                HEADINGS[scores["name"]],
                NOTES[scores["name"]],
                [titles[column] for column in columns],
                rows,
            )
        )
    return shown
