"""`onesketch bench`: what parts of the project cost, each against a peer in the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from jobs.benchmarks.distilling import measure_distill
from jobs.benchmarks.encoding import measure_encode
from jobs.benchmarks.extracting import measure_extract
from jobs.benchmarks.full_size import measure_full_size
from jobs.benchmarks.measure import BenchmarkResult, Effort
from jobs.benchmarks.mixing import measure_mixing
from jobs.benchmarks.page import write_benchmarks_page
from jobs.benchmarks.pipelines import measure_pipeline
from jobs.benchmarks.reading import measure_read
from jobs.benchmarks.sampling import measure_aggregate, measure_sample
from jobs.benchmarks.scaling.clusters import measure_cluster
from jobs.benchmarks.scaling.fleets import measure_control, measure_preempt, measure_straggler
from jobs.benchmarks.scaling.records import measure_records
from jobs.benchmarks.scaling.whole_datasets import measure_scale
from jobs.benchmarks.workers import measure_overlap, measure_worker
from jobs.runtime.devices import choose_machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from pipeline.whole_file import write_json

_Benchmark = Callable[[Effort], BenchmarkResult]

BENCHMARKS: dict[str, _Benchmark] = {
    "worker": measure_worker,
    "overlap": measure_overlap,
    "encode": measure_encode,
    "read": measure_read,
    "control": measure_control,
    "straggler": measure_straggler,
    "preempt": measure_preempt,
}
# Run only on request: they take longer, or need other tools.
EXTRA: dict[str, _Benchmark] = {
    "sample": measure_sample,
    "aggregate": measure_aggregate,
    "distill": measure_distill,
    "extract": measure_extract,
    "mixing": measure_mixing,
    "scale": measure_scale,
    "full-size": measure_full_size,
    "pipeline": measure_pipeline,
    "records": measure_records,
    "cluster": measure_cluster,
}

# Those that do not run on the CPU alone.
_ON_ANY_DEVICE = ("full-size", "distill")


def run_bench(
    names: Sequence[str],
    effort: Effort,
    events: Events,
    out: Path | None = None,
    page: Path | None = None,
) -> None:
    """Measure the named benchmarks, or by default the seven of `BENCHMARKS`, one by one.

    Args:
        out: JSON file; benchmarks that are in it already are replaced, others stay.
        page: Markdown page of all that is in `out`, or of this call's results.

    Raises:
        ValueError: there is no such benchmark, or `out` holds something else.
    """
    known = BENCHMARKS | EXTRA
    if unknown := sorted(set(names) - known.keys()):
        raise ValueError(f"no benchmark {unknown[0]!r}: expected some of {', '.join(known)}")
    results = _read_results(out) if out else {}
    for name in names or BENCHMARKS:
        events("bench.started", benchmark=name)
        device = effort.device if name in _ON_ANY_DEVICE else "cpu"
        results[name] = _measure(known[name], effort, device)
        events.console.print(_results_table({name: results[name]}))
        for line in _metadata_lines(results[name]["metadata"]):
            events.console.print(line)
        if out:
            _write_results(out, results)
    if page:
        write_benchmarks_page(page, results)


def _measure(benchmark: _Benchmark, effort: Effort, device: str) -> dict[str, Any]:
    """Run one benchmark; return its figures with machine, versions and how busy it was."""
    machine = describe_machine(choose_machine(device))
    started = datetime.now(UTC).isoformat(timespec="seconds")
    # Of the last minute: what else is running on the machine.
    load = os.getloadavg()[0]
    measured = benchmark(effort).to_dict()
    return measured | {
        "started": started,
        "load_before": load,
        "machine": machine,
        "versions": versions(),
    }


def _read_results(path: Path) -> dict[str, Any]:
    """Read the results of earlier calls; none if there is no file."""
    if not path.is_file():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected what `bench --out` writes; choose another") from error
    assert isinstance(results, dict)
    return results


def _write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write all results, sorted as the benchmarks are."""
    kept = {name: results[name] for name in BENCHMARKS | EXTRA if name in results}
    write_json(path, {"results": kept})


def _metadata_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Write what else was found, one line each."""
    for name, value in metadata.items():
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        texts = [f"{one:,.5g}" if isinstance(one, float) else str(one) for one in values]
        yield f"{name.replace('_', ' ')}: {'  '.join(texts)}"


def _results_table(results: Mapping[str, Any]) -> Table:
    """Lay figures out for people."""
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for heading in ("benchmark", "figure", "median", "lowest", "highest", "target", "met"):
        table.add_column(heading, justify="right" if heading.endswith("est") else "left")
    for name, result in results.items():
        for score in result["scores"]:
            figures = [f"{score[key]:.4g}{score['unit']}" for key in ("median", "low", "high")]
            met = "yes" if score["met"] else "no"
            table.add_row(name, score["name"], *figures, score["target"], met)
    return table
