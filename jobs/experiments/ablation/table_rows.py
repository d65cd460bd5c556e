"""Lines of an ablation's tables: scores with their spread, and comparisons in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.statistics import AVERAGE, Ordering, OrderingVerdict, Spread

_TITLES = {"xdog": "XDoG", LINE_ART: "Line art", "edges": "Learned edges", AVERAGE: "Average"}
_VERDICTS: dict[OrderingVerdict, str] = {
    "holds": "holds",
    "leans so": "same side, within the spread",
    "leans against": "other side, within the spread",
    "reversed": "reversed",
    "one seed": "one seed: no spread",
}
# Of a row in one column.
Mark = Literal["best", "worst", ""]


@dataclass(frozen=True)
class TableScore:
    """One number of the table, with the best and worst rows of its column marked."""

    mean: str
    deviation: str
    mark: Mark = ""


@dataclass(frozen=True)
class TableLine:
    """One row of the table: LPIPS and SSIM for each style, for their average, in DiffSketch."""

    title: str
    scores: list[TableScore]
    paper: list[str]


@dataclass(frozen=True)
class OrderingLine:
    """One comparison in words."""

    title: str
    paper: str
    gain: str
    deviation: str
    interval: str
    verdict: str
    kind: str


def table_score(spread: Spread | None, mark: Mark) -> TableScore:
    """Write one number; a row without one gets a dash."""
    if spread is None:
        return TableScore("–", "")
    deviation = "" if spread.deviation is None else f"±{spread.deviation:.4f}"
    return TableScore(f"{spread.mean:.4f}", deviation, mark)


def ordering_line(title: str, ordering: Ordering, paper: float | None) -> OrderingLine:
    """Write one comparison.

    Args:
        title: what is claimed.
        paper: the gain in DiffSketch; None where it says nothing.
    """
    gain, interval = ordering.advantage, ordering.advantage.interval()
    return OrderingLine(
        title=title,
        paper="" if paper is None else signed(paper),
        gain=signed(gain.mean),
        deviation="" if gain.deviation is None else f"{gain.deviation:.4f}",
        interval="" if interval is None else f"{signed(interval[0])} to {signed(interval[1])}",
        verdict=_VERDICTS[ordering.verdict],
        kind=ordering.verdict.replace(" ", "-"),
    )


def style_title(style: str) -> str:
    """Name a style on the page."""
    return _TITLES.get(style, style)


def signed(value: float) -> str:
    """Write a difference with its sign, the minus as wide as the plus."""
    return f"{value:+.4f}".replace("-", "−")
