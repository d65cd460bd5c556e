"""Held-out pictures side by side, as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.evaluation.picture_sets import TEACHER, SetName
from jobs.evaluation.scores import SetScores
from jobs.evaluation.scores_section import METHODS, TRUTHS
from jobs.evaluation.side_by_side import EXTRACTOR, PICTURE, SHOWN_BASELINE, TRUTH
from jobs.pages.figures import Figure, make_figure
from pipeline.images.read import read_photograph

_PICTURES: dict[SetName, str] = {
    "generated": "Generated",
    "photographs": "Photograph",
    "scenes": "Scene",
    "drawn": "Picture",
}
_HEADINGS: dict[SetName, str] = {
    "generated": "On generated images it has not seen",
    "photographs": "On real photographs",
    "scenes": "On procedural scenes",
    "drawn": "On drawn pictures",
}
_NOTES: dict[SetName, str] = {
    "generated": "Samples beyond the dataset's last index: the teacher drew them only now.",
    "photographs": "The extractor saw none while it learned: only what the teacher generated.",
    "scenes": "Scenes beyond the seeds that trained the embedded models.",
    "drawn": "Pictures with drawings given for comparison.",
}


_REAL = ("photographs", "drawn")
# Pixels of the longer side.
_SIDE, _LARGE_SIDE = 448, 1024
# Other columns are other systems' drawings.
_OWN = (PICTURE, TRUTH, TEACHER, EXTRACTOR, SHOWN_BASELINE)


@dataclass(frozen=True)
class ShownSet:
    """One section of side-by-side pictures: rows of figures under column headings.

    `large` shows one of real pictures and its drawing so large that lines can be judged.
    """

    heading: str
    note: str
    columns: list[str]
    rows: list[list[Figure]]
    large: list[Figure]


def shown_sets(folder: Path, sets: Sequence[SetScores]) -> list[ShownSet]:
    """Read the pictures that `evaluate` kept in its folder."""
    return [_shown_set(folder / scores.name, scores) for scores in sets]


def _shown_set(folder: Path, scores: SetScores) -> ShownSet:
    titles = _column_titles(scores)
    rows = [
        [_read_figure(folder, name, column, titles[column]) for column in scores.columns]
        for name in scores.shown
    ]
    heads = [titles[column] for column in scores.columns]
    large: list[Figure] = []
    if scores.name in _REAL and scores.shown:
        name = scores.shown[len(scores.shown) // 2]
        large = [
            _read_figure(folder, name, column, titles[column], _LARGE_SIDE)
            for column in (PICTURE, EXTRACTOR)
        ]
    return ShownSet(_HEADINGS[scores.name], _NOTES[scores.name], heads, rows, large)


def _column_titles(scores: SetScores) -> dict[str, str]:
    truth = TRUTHS.get(scores.truth, scores.truth)
    return {
        PICTURE: _PICTURES[scores.name],
        TRUTH: f"{truth[:1].upper()}{truth[1:]} (truth)",
        TEACHER: METHODS[TEACHER],
        EXTRACTOR: METHODS[EXTRACTOR],
        SHOWN_BASELINE: METHODS[SHOWN_BASELINE],
        **{name: name for name in scores.columns if name not in _OWN},
    }


def _read_figure(folder: Path, name: str, column: str, title: str, max_side: int = _SIDE) -> Figure:
    """Read one picture; drawings become grey so that they are kept without loss."""
    pixels = read_photograph(folder / f"{name}.{column}.png")
    if column != PICTURE:
        pixels = pixels[..., 0]
    alt = f"{title}: {name}" if column == PICTURE else f"{title} of {name}"
    return make_figure(pixels, alt, title, max_side)
