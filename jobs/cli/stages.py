"""Commands from a drawing to an extractor: the stages of a run in their order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.options import (
    Device,
    Drawings,
    Dtype,
    Inputs,
    RecipeName,
    Run,
    ShortSide,
    SingleWriter,
    local_path,
    unfold_options,
)

if TYPE_CHECKING:
    from jobs.evaluation.evaluate import Measurement

app = typer.Typer()


@app.command()
def source(
    recipe: RecipeName, run: Run = None, device: Device = "auto", dtype: Dtype = "auto"
) -> None:
    """Make the image to draw over.

    It comes from the recipe's prompt and seed.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.source import run_source

    with open_session(recipe, run, device, dtype) as session:
        run_source(session)


@app.command()
def teach(
    recipe: RecipeName, run: Run = None, device: Device = "auto", dtype: Dtype = "auto"
) -> None:
    """Learn the style from the one drawing.

    Started again, it goes on where it stopped.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.teach import run_teach

    with open_session(recipe, run, device, dtype) as session:
        run_teach(session)


@app.command()
def generate(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Ray actors; 0 chooses by the machine.")
    ] = 0,
    single_writer: SingleWriter = False,
) -> None:
    """Write the dataset of image-sketch pairs.

    Finished shards are never made again.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.generate import run_generate

    with open_session(recipe, run, device, dtype) as session:
        run_generate(session, workers, single_writer)


@app.command()
def distill(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder for shards from s3.  [default: in the run's]"),
    ] = None,
    cache_gib: Annotated[
        float | None,
        typer.Option("--cache-gib", min=0, help="Most that they may take.  [default: no limit]"),
    ] = None,
) -> None:
    """Train the fast extractor on the dataset.

    Started again, it goes on where it stopped.
    """
    from jobs.runtime.session import open_session
    from jobs.stages.distill import Cache, run_distill

    with open_session(recipe, run, device) as session:
        run_distill(session, Cache(cache, cache_gib))


@app.command()
def extract(
    model: Annotated[Path, typer.Argument(help="Folder of an extractor (<run>/extractor).")],
    inputs: Inputs,
    out: Drawings,
    short_side: ShortSide = None,
    device: Device = "auto",
    dtype: Annotated[
        str, typer.Option("--dtype", help="Extractor's numbers: float32, float16, bfloat16.")
    ] = "float32",
) -> None:
    """Draw photographs with the extractor.

    One PNG each, of the photograph's size, black on white. A folder is searched with all folders in
    it; names that begin with a dot are left out.
    """
    from jobs.extract.extract import ExtractOptions, run_extract
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    machine = choose_machine(device, dtype)
    with open_events() as events:
        drawing = ExtractOptions(short_side, machine.dtype)
        run_extract(model, inputs, out, machine, events, drawing)


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
        return Measurement(**{**vars(self), "photographs": photographs})


@app.command()
@unfold_options
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of an extractor (<run>/extractor).")],
    options: EvaluateOptions,
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
    device: Device = "auto",
) -> None:
    """Score an extractor against known drawings.

    A blank page and an edge filter are scored beside it.
    """
    from jobs.evaluation.evaluate import evaluate_and_print

    folder = out or model.parent / "evaluation"
    evaluate_and_print(model, folder, options.measurement(), recipe, run, device)


@app.command()
def report(recipe: RecipeName, run: Run = None) -> None:
    """Write one page about a run.

    It shows pictures, scores, times and provenance.
    """
    from jobs.report.report import write_report
    from jobs.runtime.recipes import open_recipe
    from jobs.runtime.run_folder import RunFolder

    opened = open_recipe(recipe, run)
    typer.echo(write_report(opened, RunFolder(opened.run_path)))


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
