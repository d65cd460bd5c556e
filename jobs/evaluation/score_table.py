"""Scores of an evaluation: who wins, and the table."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from training.evaluation.evaluate import BASELINES

SCORES = "scores.json"


def beats_baselines(result: dict[str, Any]) -> dict[str, bool]:
    """Say which systems are better than every baseline in every metric, by their means."""
    systems = result["systems"]

    def wins(name: str, metric: str, better: str) -> bool:
        sign = 1 if better == "higher" else -1
        best = max(sign * systems[baseline][metric]["mean"] for baseline in BASELINES)
        return sign * systems[name][metric]["mean"] > best

    return {
        name: all(wins(name, metric, better) for metric, better in result["better"].items())
        for name in systems
        if name not in BASELINES
    }


def print_table(measured: Sequence[dict[str, Any]], console: Console) -> None:
    """Print means and intervals, the best of each metric in bold."""
    for scores in measured:
        if not scores["result"]:
            continue
        result = scores["result"]
        title = f"{scores['name']}: {scores['pictures']} pictures, truth {scores['truth']}"
        table = Table(title=title, title_justify="left")
        table.add_column("system")
        for metric, better in result["better"].items():
            table.add_column(f"{metric} ({better} is better)")
        for name, row in result["systems"].items():
            table.add_row(name, *(cell(result, name, metric) for metric in row))
        console.print(table)


def cell(result: dict[str, Any], system: str, metric: str) -> str:
    """Write one score with its interval, bold when it is the best."""
    score = result["systems"][system][metric]
    text = f"{score['mean']:.3f} [dim]{score['low']:.3f}..{score['high']:.3f}[/dim]"
    return f"[bold]{text}[/bold]" if system == best_system(result, metric) else text


def best_system(result: dict[str, Any], metric: str) -> str:
    """Name the system with the best mean of a metric."""
    sign = 1 if result["better"][metric] == "higher" else -1
    systems = result["systems"]
    return max(systems, key=lambda name: sign * systems[name][metric]["mean"])
