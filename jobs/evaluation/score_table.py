"""Scores of an evaluation on a terminal, and which system is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.evaluation.scores import SetScores

# These decide (DiffSketch 5.2); what else is measured stands beside them.
VERDICT = ("lpips", "ssim")


def print_scores(sets: Sequence[SetScores], console: Console) -> None:
    """Print means and intervals of each set with a truth, the best of each metric in bold."""
    for scores in sets:
        result = scores.result
        if not result:
            continue
        title = f"{scores.name}: {scores.pictures} pictures, truth {scores.truth}"
        table = Table(title=title, title_justify="left")
        table.add_column("system")
        for metric, better in result["better"].items():
            table.add_column(f"{metric} ({better} is better)")
        table.add_column("grid (dB, lower is better)")
        for name, row in result["systems"].items():
            cells = (_score_text(result, name, metric) for metric in row)
            table.add_row(name, *cells, f"{result['grid_db'][name]:.1f}")
        console.print(table)


def beats_baselines(result: Mapping[str, Any]) -> dict[str, bool]:
    """Say which systems are better than every baseline in both LPIPS and SSIM.

    Better means that the whole interval of the paired differences is; one picture proves nothing.
    """
    return {
        name: result["pairs"] > 1
        and all(
            of_baseline[metric]["low"] > 0
            for of_baseline in of_system.values()
            for metric in VERDICT
        )
        for name, of_system in result["paired"].items()
    }


def best_system(result: Mapping[str, Any], metric: str) -> str:
    """Name the system with the best mean of a metric."""
    sign = 1 if result["better"][metric] == "higher" else -1
    systems = result["systems"]
    return max(systems, key=lambda name: sign * systems[name][metric]["mean"])


def _score_text(result: Mapping[str, Any], system: str, metric: str) -> str:
    score = result["systems"][system][metric]
    text = f"{score['mean']:.3f} [dim]{score['low']:.3f}..{score['high']:.3f}[/dim]"
    return f"[bold]{text}[/bold]" if system == best_system(result, metric) else text
