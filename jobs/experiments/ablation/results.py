"""An ablation's results: the scores of all finished trainings, their table and its orderings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.experiments.ablation.rows import ROWS, Cell, cells
from jobs.experiments.ablation.statistics import (
    AVERAGE,
    BETTER,
    Ordering,
    Spread,
    Table,
    full_against_best,
    make_table,
    orderings,
    worst_is_no_vae,
)
from jobs.experiments.ablation.trainings import SCORED, SCORES, read_scores
from jobs.experiments.ablation.workspace import Workspace
from training.evaluation.evaluate import BASELINES

RESULTS = "ablation.json"


@dataclass(frozen=True)
class Results:
    """What is known so far.

    scores: of finished trainings; table: their means; baselines: style -> name -> metric -> mean,
    AVERAGE among the styles; claims: the paper's orderings on this backbone.
    """

    styles: Sequence[str]
    scores: Mapping[Cell, Mapping[str, Any]]
    table: Table
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]]
    claims: Sequence[Ordering]

    @property
    def seeds(self) -> list[int]:
        """Seeds with at least one finished training."""
        return sorted({cell.seed for cell in self.scores})


def gather(workspace: Workspace, styles: Sequence[str], seeds: int) -> Results:
    """Read the scores of all finished trainings; ValueError when there is none."""
    every = [cell for seed in range(seeds) for cell in cells(styles, list(ROWS), seed)]
    read = {cell: read_scores(workspace, cell) for cell in every}
    scores = {cell: found for cell, found in read.items() if found is not None}
    if not scores:
        raise ValueError(f"{workspace.out}: no training of this ablation has finished yet")
    table = make_table({cell: {name: s[name] for name in SCORED} for cell, s in scores.items()})
    present = [style for style in styles if style in table[SCORED[0]]]
    return Results(present, scores, table, baseline_means(workspace, present), orderings(table))


def baseline_means(
    workspace: Workspace, styles: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean scores of the baselines, by style and on average."""
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


def to_json(results: Results, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Put the results into a form that JSON can hold, metadata about their origin first."""
    table = {
        metric: {
            style: {row: spread_json(spread) for row, spread in of_rows.items()}
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
                "worst is no-vae": optional_json(worst_is_no_vae(results.table, metric)),
                "full against the best other": optional_json(
                    full_against_best(results.table, metric)
                ),
            }
            for metric in BETTER
        },
    }


def spread_json(spread: Spread) -> dict[str, Any]:
    """Mean, deviation and interval over seeds, and the seeds' own scores."""
    return {
        "mean": spread.mean,
        "deviation": spread.deviation,
        "interval": spread.interval(),
        "by_seed": {str(seed): value for seed, value in spread.by_seed.items()},
    }


def ordering_json(ordering: Ordering) -> dict[str, Any]:
    """One comparison of two rows."""
    return {
        "metric": ordering.metric,
        "style": ordering.style,
        "better": ordering.better,
        "worse": ordering.worse,
        "advantage": spread_json(ordering.advantage),
        "verdict": ordering.verdict,
    }


def optional_json(ordering: Ordering | None) -> dict[str, Any] | None:
    """A comparison that may lack a row."""
    return None if ordering is None else ordering_json(ordering)
