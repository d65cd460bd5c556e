"""The page of benchmark results, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.pages.page import TEMPLATES
from pipeline.render import render
from pipeline.whole_file import write_bytes


def write_benchmarks_page(path: Path, results: Mapping[str, Any]) -> None:
    """Write the page of `bench --markdown`.

    Args:
        results: those of `bench --out`, by benchmark.
    """
    page = render(
        TEMPLATES / "benchmarks.md.j2",
        results=results,
        machines=sorted({_result_origin(result) for result in results.values()}),
        origin=_result_origin,
        figure=_figure_text,
    )
    write_bytes(path, page)


def _result_origin(result: Mapping[str, Any]) -> str:
    """Write hardware and versions of one result in one line."""
    machine, versions = result["machine"], result["versions"]
    software = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "ray"))
    gpu = f"{machine['gpu']}, " if "gpu" in machine else ""
    return f"{gpu}{machine['processor']}, {machine['cores']} cores, {machine['system']}; {software}"


def _figure_text(value: float, unit: str) -> str:
    """Write a figure with as many digits as mean something."""
    if unit == "":
        return f"{value:.3g}"
    return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3f}{unit}"
