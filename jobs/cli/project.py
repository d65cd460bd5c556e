"""Commands about the project itself: what its parts cost, and how its embedded models are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.options import Device, local_path, unfold_options

if TYPE_CHECKING:
    from jobs.benchmarks.measure import Effort

app = typer.Typer()


@dataclass(frozen=True)
class BenchOptions:
    """How much is measured; the fields are those of `Effort`, which explains them."""

    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of each side.")] = 5
    tiny: Annotated[
        bool, typer.Option("--tiny", help="See only that they run; the figures mean nothing.")
    ] = False
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, help="Size of the dataset that `scale` makes.")
    ] = 30_000
    far: Annotated[
        str, typer.Option("--far", help="Empty s3://bucket/prefix, for `read` and `full-size`.")
    ] = ""
    backbone: Annotated[
        str, typer.Option("--backbone", help="Folder for `full-size`; random weights if none.")
    ] = ""
    device: Device = "auto"
    node_gbits: Annotated[
        float, typer.Option("--node-gbits", min=0.1, help="A node's Gbit/s, for `cluster`.")
    ] = 10.0
    preempted_per_hour: Annotated[
        float, typer.Option("--preempted", min=0.0, help="Of a node, times an hour, for `cluster`.")
    ] = 0.1

    def effort(self) -> Effort:
        """Build what the benchmarks take."""
        from jobs.benchmarks.measure import Effort

        return Effort(**vars(self))


@app.command()
@unfold_options
def bench(
    options: BenchOptions,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="worker overlap encode read control straggler preempt (the default), aggregate, "
            "distill, extract, mixing, pipeline, sample, scale, records, cluster, full-size.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=local_path,
            metavar="FILE",
            help="JSON, in which these results are replaced.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Page of all results in that file.")
    ] = None,
) -> None:
    """Measure what parts of the project cost.

    Each is measured against a peer in the same run.
    """
    from jobs.bench import run_bench
    from jobs.runtime.events import open_events

    with open_events() as events:
        run_bench(names or [], options.effort(), events, out, page)


@app.command("train-embedded")
def train_embedded(
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=local_path, metavar="FOLDER", help="For weights and model card."
        ),
    ],
    work: Annotated[
        Path, typer.Option("--work", help="Folder for checkpoints, to go on from.")
    ] = Path("runs/embedded"),
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    photographs: Annotated[
        Path | None,
        typer.Option(
            "--photographs",
            parser=local_path,
            metavar="FOLDER",
            help="Of Debian's lomiri-wallpapers-16.04, for the autoencoder besides scenes.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Make the embedded models from a seed.

    Their model card comes with them; it takes hours without a GPU.
    """
    from jobs.experiments.train_embedded import run_train_embedded
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    with open_events(work / "events.jsonl") as events:
        run_train_embedded(out, work, seed, photographs, choose_machine(device), events)
