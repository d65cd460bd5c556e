"""Scores as a page's table shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.evaluation.picture_sets import DRAWN, LINE_ART, TEACHER, SetName
from jobs.evaluation.score_table import best_system
from jobs.evaluation.scores import SetScores
from jobs.evaluation.side_by_side import EXTRACTOR
from training.evaluation.evaluate import BASELINES

METHODS = {
    EXTRACTOR: "Extractor",
    TEACHER: "Teacher",
    "blank": "Blank page",
    "sobel": "Sobel edges",
    "otsu": "Otsu threshold",
    "grey": "Its own greys",
    "stretched": "Greys, stretched",
}
ORDER = (TEACHER, EXTRACTOR, "stretched", "grey", "otsu", "sobel", "blank")
SETS: dict[SetName, str] = {
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
_ARROWS = {"lower": "lower is better", "higher": "higher is better"}
# Of the axis, in percent: a dot at its end would be cut in half.
_LAST_DOT = 99.3


@dataclass(frozen=True)
class PlacedScore:
    """A score with its interval, and where they lie on the set's axis in percent."""

    mean: float
    low: float
    high: float
    at: float
    left: float
    right: float
    best: bool


@dataclass(frozen=True)
class MethodRow:
    """One method's scores, one a metric."""

    method: str
    scores: list[PlacedScore]
    baseline: bool
    grid: str


@dataclass(frozen=True)
class ScoreGroup:
    """One set of pictures with the scores of every method on it."""

    name: str
    note: str
    metrics: list[str]
    rows: list[MethodRow]
    verdict: str
    beats: bool

    def row(self, method: str) -> MethodRow:
        """Return the row of one method."""
        return next(row for row in self.rows if row.method == method)

    def best_baseline(self) -> MethodRow:
        """Return the baseline with the lowest first score (LPIPS)."""
        return min((row for row in self.rows if row.baseline), key=lambda row: row.scores[0].mean)


def score_groups(sets: Sequence[SetScores]) -> list[ScoreGroup]:
    """Turn sets of scores into the table; sets without a truth are left out."""
    return [_score_group(scores, scores.result) for scores in sets if scores.result]


def _score_group(scores: SetScores, result: Mapping[str, Any]) -> ScoreGroup:
    metrics = list(result["better"])
    rows = [
        MethodRow(
            METHODS.get(system, system),
            [_placed_score(result, system, metric) for metric in metrics],
            system in BASELINES,
            _grid_text(result, system),
        )
        for system in in_order(result["systems"])
    ]
    truth = TRUTHS.get(scores.truth, scores.truth)
    return ScoreGroup(
        name=SETS[scores.name],
        note=f"{scores.pictures} held out, truth: {truth}",
        metrics=[f"{_title(metric)} ({_ARROWS[result['better'][metric]]})" for metric in metrics],
        rows=rows,
        verdict=_group_verdict(scores.beats_baselines),
        # Of what this project made; how another system does is its own affair.
        beats=all(beats for name, beats in scores.beats_baselines.items() if name in ORDER),
    )


def in_order(systems: Iterable[str]) -> list[str]:
    """Order systems as tables show them: those that learned, other ones, then the baselines."""
    known = [name for name in ORDER if name in systems]
    others = [name for name in systems if name not in ORDER]
    learned = [name for name in known if name not in BASELINES]
    return [*learned, *others, *(name for name in known if name in BASELINES)]


def _grid_text(result: Mapping[str, Any], system: str) -> str:
    """Write the grid in decibels; evaluations of before it was measured have none."""
    grid = result.get("grid_db", {}).get(system)
    return "" if grid is None else f"{grid:.1f}"


def _title(metric: str) -> str:
    return metric.upper().replace("_", " ")


def _placed_score(result: Mapping[str, Any], system: str, metric: str) -> PlacedScore:
    """Place one score on an axis that holds all intervals of its metric, from 0."""
    of_metric = [scores[metric] for scores in result["systems"].values()]
    longest = max(score["high"] for score in of_metric) or 1.0
    score = result["systems"][system][metric]
    at, left, right = (100 * max(score[key], 0.0) / longest for key in ("mean", "low", "high"))
    best = system == best_system(result, metric)
    at = min(at, _LAST_DOT)
    return PlacedScore(score["mean"], score["low"], score["high"], at, left, right, best)


def _group_verdict(beats: Mapping[str, bool]) -> str:
    """Say in words which systems beat the baselines."""
    winners = [METHODS[name].lower() for name in ORDER if beats.get(name)]
    losers = [METHODS[name].lower() for name in ORDER if name in beats and not beats[name]]
    if not losers:
        return f"✓ {' and '.join(winners)} beat{'s' if len(winners) == 1 else ''} all baselines"
    return f"✗ {' and '.join(losers)}: not shown to be better than all baselines in LPIPS and SSIM"
