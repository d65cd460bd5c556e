"""The page of benchmark results, in Markdown."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def write_page(results: Mapping[str, Any]) -> str:
    """Write the page of `bench --markdown` from the results of `bench --out`."""
    environment = Environment(
        loader=PackageLoader("jobs", "pages/templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    environment.filters["figure"] = figure
    machines = {describe(result) for result in results.values()}
    return environment.get_template("benchmarks.md.j2").render(
        results=results, machines=sorted(machines), describe=describe
    )


def describe(result: Mapping[str, Any]) -> str:
    """Hardware and versions of one result, in one line."""
    machine, versions = result["machine"], result["versions"]
    software = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "ray"))
    gpu = f"{machine['gpu']}, " if "gpu" in machine else ""
    return f"{gpu}{machine['processor']}, {machine['cores']} cores, {machine['system']}; {software}"


def figure(value: float, unit: str) -> str:
    """Write a figure with as many digits as mean something."""
    if unit == "":
        return f"{value:.3g}"
    return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3f}{unit}"
