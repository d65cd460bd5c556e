"""An ablation's results: the scores of all finished trainings, their table and its orderings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.experiments.ablation.rows import ROWS, Cell, cells
from jobs.experiments.ablation.statistics import (
    AVERAGE,
    BETTER,
    Ordering,
    ScoreTable,
    Spread,
    full_against_best,
    make_table,
    orderings,
    worst_is_no_vae,
)
from jobs.experiments.ablation.trainings import SCORED, SCORES, read_training_scores
from jobs.experiments.ablation.workspace import Workspace
from training.evaluation.evaluate import BASELINES

RESULTS = "ablation.json"


@dataclass(frozen=True)
class Results:
    """The scores of the trainings that have finished.

    Attributes:
        styles: in the order of the table.
        scores: by training.
        table: their means over seeds.
        baselines: style -> name -> metric -> mean; AVERAGE is one of the styles.
        claims: DiffSketch's orderings on this backbone.
    """

    styles: Sequence[str]
    scores: Mapping[Cell, Mapping[str, Any]]
    table: ScoreTable
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]]
    claims: Sequence[Ordering]

    @property
    def seeds(self) -> list[int]:
        """Seeds with at least one finished training."""
        return sorted({cell.seed for cell in self.scores})


def gather_results(workspace: Workspace, styles: Sequence[str], seeds: int) -> Results:
    """Read the scores of all finished trainings.

    Raises:
        ValueError: none has finished.
    """
    every = [cell for seed in range(seeds) for cell in cells(styles, list(ROWS), seed)]
    read = {cell: read_training_scores(workspace, cell) for cell in every}
    scores = {cell: found for cell, found in read.items() if found is not None}
    if not scores:
        raise ValueError(f"{workspace.out}: no training of this ablation has finished yet")
    table = make_table({cell: {name: s[name] for name in SCORED} for cell, s in scores.items()})
    present = [style for style in styles if style in table[SCORED[0]]]
    return Results(present, scores, table, _baseline_means(workspace, present), orderings(table))


def results_json(results: Results, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results as JSON-able data, metadata about their origin first."""
    table = {
        metric: {
            style: {row: _spread_json(spread) for row, spread in of_rows.items()}
            for style, of_rows in of_styles.items()
        }
        for metric, of_styles in results.table.items()
    }
    return {
        **metadata,
        "better": BETTER,
        "trainings": len(results.scores),
        "table": table,
        "baselines": results.baselines,
        "orderings": [ordering_json(ordering) for ordering in results.claims],
        "extremes": {
            metric: {
                "worst is no-vae": _optional_json(worst_is_no_vae(results.table, metric)),
                "full against the best other": _optional_json(
                    full_against_best(results.table, metric)
                ),
            }
            for metric in BETTER
        },
    }


def ordering_json(ordering: Ordering) -> dict[str, Any]:
    """Return one comparison of two rows as JSON-able data."""
    return {
        "metric": ordering.metric,
        "style": ordering.style,
        "better": ordering.better,
        "worse": ordering.worse,
        "advantage": _spread_json(ordering.advantage),
        "verdict": ordering.verdict,
    }


def _baseline_means(
    workspace: Workspace, styles: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Average the baselines' scores, by style and over the styles."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for style in styles:
        scores = json.loads((workspace.truth(style) / SCORES).read_text())
        means[style] = {
            name: {metric: sum(values) / len(values) for metric, values in of_metric.items()}
            for name, of_metric in scores.items()
        }
    means[AVERAGE] = {
        name: {m: sum(means[s][name][m] for s in styles) / len(styles) for m in SCORED}
        for name in BASELINES
    }
    return means


def _spread_json(spread: Spread) -> dict[str, Any]:
    """Return mean, deviation and interval over seeds, and the seeds' own scores."""
    return {
        "mean": spread.mean,
        "deviation": spread.deviation,
        "interval": spread.interval(),
        "by_seed": {str(seed): value for seed, value in spread.by_seed.items()},
    }


def _optional_json(ordering: Ordering | None) -> dict[str, Any] | None:
    return None if ordering is None else ordering_json(ordering)
