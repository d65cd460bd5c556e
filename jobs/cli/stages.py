"""Commands from a drawing to an extractor: the stages of a run in their order."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.options import (
    AsJson,
    CacheFolder,
    CacheGib,
    Device,
    Dtype,
    GpusPerWorker,
    Grace,
    Model,
    NodeOptions,
    Price,
    RecipeName,
    Run,
    ShortSide,
    SingleWriter,
    WorkerCount,
    local_path,
    node_cache,
    unfold_options,
)

if TYPE_CHECKING:
    from jobs.evaluation.evaluate import Measurement
    from jobs.runtime.session import Session
    from jobs.stages.again import Stage
    from jobs.stages.generate import Fleet

app = typer.Typer()

Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Make it anew: what it and later stages made is removed, after it is said.",
    ),
]


@dataclass(frozen=True)
class FleetOptions:
    """Which workers make the dataset; the fields are those of `Fleet`, which explains them."""

    workers: WorkerCount = "auto"
    gpus_per_worker: GpusPerWorker = 1.0
    grace_s: Grace = 20.0
    single_writer: SingleWriter = False
    price: Price = 0.0

    def fleet(self) -> Fleet:
        """Build what the stage takes; ValueError where `workers` is no number or range."""
        from jobs.stages.generate import Fleet
        from pipeline.recipe.workers import worker_range

        return Fleet(**{**vars(self), "workers": worker_range(self.workers)})


@app.command()
def source(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
    again: Again = False,
    scale: Annotated[
        int, typer.Option("--scale", min=1, max=64, help="Also enlarged, here, to draw over.")
    ] = 1,
) -> None:
    """Make the image to draw over.

    It comes from the recipe's prompt and seed.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.source import run_source, write_enlarged

    with open_session(recipe, run, device, dtype, node_cache(cache, cache_gib)) as session:
        if again:
            _start_anew(session, "source")
        run_source(session)
        if scale > 1:
            typer.echo(f"to draw over: {write_enlarged(session, scale)}")


@app.command()
def teach(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
    again: Again = False,
) -> None:
    """Learn the style from the one drawing.

    Started again, it goes on where it stopped.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.teach import run_teach

    with open_session(recipe, run, device, dtype, node_cache(cache, cache_gib)) as session:
        if again:
            _start_anew(session, "teach")
        run_teach(session)


@app.command()
@unfold_options
def generate(
    recipe: RecipeName,
    fleet: FleetOptions,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
    again: Again = False,
) -> None:
    """Write the dataset of image-sketch pairs.

    Finished shards are never made again.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.generate import run_generate

    asked = fleet.fleet()
    with open_session(recipe, run, device, dtype, node_cache(cache, cache_gib)) as session:
        if again:
            _start_anew(session, "generate")
        run_generate(session, asked)


@app.command()
def distill(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
    again: Again = False,
) -> None:
    """Train the fast extractor on the dataset.

    Started again, it goes on where it stopped.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.distill import run_distill

    with open_session(recipe, run, device, cache=node_cache(cache, cache_gib)) as session:
        if again:
            _start_anew(session, "distill")
        run_distill(session)


@app.command("all")
@unfold_options
def all_stages(
    recipe: RecipeName,
    fleet: FleetOptions,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
) -> None:
    """Teach, generate and distill, one after the other.

    Stages that are finished are only checked; the image to draw over is made if it is missing.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.in_order import run_all

    asked = fleet.fleet()
    with open_session(recipe, run, device, dtype, node_cache(cache, cache_gib)) as session:
        run_all(session, asked)


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate on; the fields are those of `Measurement`, which explains them."""

    photographs: Annotated[
        list[str] | None,
        typer.Option("--photographs", help="Image, folder, or `bundled`.  [default: bundled]"),
    ] = None
    drawings: Annotated[
        Path | None, typer.Option("--drawings", help="True drawings of the photographs' folder.")
    ] = None
    rivals: Annotated[
        list[str] | None,
        typer.Option("--rival", metavar="NAME=FOLDER", help="Another system's drawings of them."),
    ] = None
    truth: Annotated[
        str, typer.Option("--truth", help="xdog, edges, lineart or teacher.  [default: by style]")
    ] = ""
    held_out: Annotated[int, typer.Option("--held-out", min=1, help="Generated images.")] = 24
    scenes: Annotated[int, typer.Option("--scenes", min=0, help="Procedural scenes.")] = 24
    perceptual: Annotated[
        str, typer.Option("--perceptual", help="embedded, or alex:FILE for the real LPIPS.")
    ] = "embedded"
    inception: Annotated[
        str, typer.Option("--inception", help="File of an Inception-v3, for FID and KID.")
    ] = ""
    teacher: Annotated[
        bool, typer.Option("--with-teacher", help="Also the recipe's teacher, by inversion.")
    ] = False
    short_side_px: ShortSide = None

    def measurement(self) -> Measurement:
        """Build what the evaluation takes."""
        from jobs.evaluation.evaluate import Measurement

        photographs = tuple(self.photographs or ["bundled"])
        rivals = dict(_named_folder(rival) for rival in self.rivals or [])
        return Measurement(**{**vars(self), "photographs": photographs, "rivals": rivals})


def _named_folder(text: str) -> tuple[str, Path]:
    """Take NAME=FOLDER apart."""
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise typer.BadParameter(
            f"--rival {text}: expected NAME=FOLDER, and a folder that is there"
        )
    return name, Path(folder)


@app.command()
@unfold_options
def evaluate(
    model: Model,
    options: EvaluateOptions,
    node: NodeOptions,
    recipe: Annotated[
        str, typer.Option("--recipe", help="Also score generated images and the teacher.")
    ] = "",
    run: Run = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=local_path,
            metavar="FOLDER",
            help="For page and scores.  [default: evaluation beside MODEL]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score an extractor against known drawings.

    A blank page and an edge filter are scored beside it.
    """
    from jobs.evaluation.evaluate import Evaluated, evaluate_and_print

    evaluated = Evaluated(model, recipe, run, out)
    cache = node_cache(node.cache, node.cache_gib)
    evaluate_and_print(evaluated, options.measurement(), node.device, cache, as_json)


@app.command()
def report(
    recipe: RecipeName, run: Run = None, cache: CacheFolder = None, cache_gib: CacheGib = None
) -> None:
    """Write one page about a run.

    It shows pictures, scores, times and provenance.
    """
    from jobs.report.report import write_report
    from jobs.runtime.session import open_session

    with open_session(recipe, run, cache=node_cache(cache, cache_gib)) as session:
        typer.echo(write_report(session))


@app.command()
def demo(
    recipe: Annotated[str, typer.Argument(metavar="[RECIPE]")] = "xdog",
    run: Annotated[Path, typer.Option("--run", help="Folder for the artefacts.")] = Path(
        "runs/demo"
    ),
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Do all of the above on one recipe.

    Source, teach, generate, distill, extract, evaluate, report.
    """
    from jobs.demo import run_demo
    from jobs.runtime.session import open_session

    with open_session(recipe, run, device, dtype) as session:
        run_demo(session)


def _start_anew(session: Session, stage: Stage) -> None:
    """Remove what a stage and later ones made, once it is said and, at a terminal, agreed to."""
    from jobs.stages.again import start_anew

    def agrees(lines: list[str]) -> bool:
        typer.echo("\n".join(["this goes, to be made anew:", *lines]), err=True)
        return not sys.stdin.isatty() or typer.confirm("remove it?", err=True)

    start_anew(session, stage, agrees)
