"""Scores as the report's table shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.evaluation.picture_sets import DRAWN, LINE_ART, TEACHER
from jobs.evaluation.score_table import best_system
from jobs.evaluation.side_by_side import EXTRACTOR
from training.evaluation.evaluate import BASELINES

METHODS = {
    EXTRACTOR: "Extractor",
    TEACHER: "Teacher",
    "blank": "Blank page",
    "sobel": "Sobel edges",
}
ORDER = (TEACHER, EXTRACTOR, "sobel", "blank")
SETS = {
    "generated": "Generated images",
    "photographs": "Photographs",
    "scenes": "Procedural scenes",
    "drawn": "Drawn pictures",
}
TRUTHS = {
    "xdog": "XDoG",
    "edges": "learned edges",
    LINE_ART: "the exact line art",
    TEACHER: "the teacher's sketch",
    DRAWN: "the given drawings",
}
ARROWS = {"lower": "lower is better", "higher": "higher is better"}


@dataclass(frozen=True)
class Cell:
    """A score with its interval, and where they lie on the set's axis in percent."""

    mean: float
    low: float
    high: float
    at: float
    left: float
    right: float
    best: bool


@dataclass(frozen=True)
class Row:
    """One method's scores."""

    method: str
    cells: list[Cell]
    baseline: bool


@dataclass(frozen=True)
class Group:
    """One set of pictures with the scores of every method on it."""

    name: str
    note: str
    metrics: list[str]
    rows: list[Row]
    verdict: str
    beats: bool

    def row(self, method: str) -> Row:
        """Give the row of one method."""
        return next(row for row in self.rows if row.method == method)

    def best_baseline(self) -> Row:
        """Give the baseline with the lowest first score (LPIPS)."""
        return min((row for row in self.rows if row.baseline), key=lambda row: row.cells[0].mean)


def make_cell(result: dict[str, Any], system: str, metric: str) -> Cell:
    """Place one score on an axis that holds all intervals of its metric, from 0."""
    of_metric = [scores[metric] for scores in result["systems"].values()]
    longest = max(score["high"] for score in of_metric) or 1.0
    score = result["systems"][system][metric]
    at, left, right = (100 * max(score[key], 0.0) / longest for key in ("mean", "low", "high"))
    best = system == best_system(result, metric)
    return Cell(score["mean"], score["low"], score["high"], min(at, 99.3), left, right, best)


def verdict_of(beats: dict[str, bool]) -> str:
    """Say in words who beats the baselines."""
    winners = [METHODS[name].lower() for name in ORDER if beats.get(name)]
    losers = [METHODS[name].lower() for name in ORDER if name in beats and not beats[name]]
    if not losers:
        return f"✓ {' and '.join(winners)} beat{'s' if len(winners) == 1 else ''} both baselines"
    return f"✗ {' and '.join(losers)}: not better than both baselines in every metric"


def make_group(scores: dict[str, Any]) -> Group:
    """Turn one set's scores into a group of the table."""
    result = scores["result"]
    metrics = list(result["better"])
    rows = [
        Row(
            METHODS[system],
            [make_cell(result, system, metric) for metric in metrics],
            system in BASELINES,
        )
        for system in ORDER
        if system in result["systems"]
    ]
    truth = TRUTHS.get(scores["truth"], scores["truth"])
    beats = scores["beats_baselines"]
    return Group(
        name=SETS[scores["name"]],
        note=f"{scores['pictures']} held out, truth: {truth}",
        metrics=[f"{metric.upper()} ({ARROWS[result['better'][metric]]})" for metric in metrics],
        rows=rows,
        verdict=verdict_of(beats),
        beats=all(beats.values()),
    )


def score_groups(sets: Sequence[dict[str, Any]]) -> list[Group]:
    """Turn the scores file into the table, sets without truth left out."""
    return [make_group(scores) for scores in sets if scores["result"]]
