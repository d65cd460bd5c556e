"""The command that measures the project itself."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="worker overlap encode read control straggler preempt (the default), aggregate, "
            "sample, scale, full-size.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of each side.")] = 5,
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, help="Size of the dataset that `scale` makes.")
    ] = 30_000,
    far: Annotated[
        str, typer.Option("--far", help="Empty s3://bucket/prefix, for `read` and `full-size`.")
    ] = "",
    backbone: Annotated[
        str,
        typer.Option("--backbone", help="Folder for `full-size`; random weights if none."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON file, in which these results are replaced.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Page of all results in that file.")
    ] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="See only that they run; the figures mean nothing.")
    ] = False,
) -> None:
    """Measure what parts of the project cost, each against a peer in the same run."""
    from jobs.benchmarks.bench import run_bench
    from jobs.benchmarks.measure import Effort
    from jobs.runtime.session import open_events

    with open_events() as events:
        run_bench(names or [], Effort(rounds, tiny, pairs, far, backbone), events, out, page)
