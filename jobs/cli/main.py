"""The `onesketch` command: what a person types. Each command is one file of this folder.

The files are imported by the command that needs them: `onesketch --help` must not load torch.
"""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli import bench, dataset, experiments
from jobs.cli.errors import CommandGroup
from jobs.cli.options import Device, Dtype, RecipeName, Run, ShortSide, SingleWriter
from jobs.runtime.events import quiet_libraries

app = typer.Typer(
    name="onesketch",
    cls=CommandGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="One drawing in; a dataset in that style and a fast extractor out.",
)

# Commands of one purpose lie in a file each; all are typed the same way: `onesketch NAME`.
app.add_typer(dataset.app)
app.add_typer(experiments.app)
app.add_typer(bench.app)


@app.callback()
def options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
) -> None:
    """One drawing in; a dataset in that style and a fast extractor out."""
    quiet_libraries()


@app.command()
def source(
    recipe: RecipeName, run: Run = None, device: Device = "auto", dtype: Dtype = "auto"
) -> None:
    """Make the image to draw over, from the recipe's prompt and seed."""
    from jobs.runtime.session import open_session
    from jobs.stages.source import run_source

    with open_session(recipe, run, device, dtype) as session:
        run_source(session)


@app.command()
def teach(
    recipe: RecipeName, run: Run = None, device: Device = "auto", dtype: Dtype = "auto"
) -> None:
    """Learn the style from the one drawing; goes on where it stopped."""
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
    """Write the dataset of image-sketch pairs; finished shards are never made again."""
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
    """Train the fast extractor on the dataset; goes on where it stopped."""
    from jobs.runtime.session import open_session
    from jobs.stages.distill import Cache, run_distill

    with open_session(recipe, run, device) as session:
        run_distill(session, Cache(cache, cache_gib))


@app.command()
def extract(
    model: Annotated[
        Path,
        typer.Argument(help="Folder of an extractor (<run>/extractor); see also --teacher."),
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Images, folders, or the word `bundled`."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the drawings.")],
    short_side: ShortSide = None,
    teacher: Annotated[
        bool, typer.Option("--teacher", help="MODEL is a teacher (<run>/teacher): by inversion.")
    ] = False,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="With --teacher: what the photographs show.")
    ] = None,
    inversion: Annotated[
        str | None,
        typer.Option(
            "--inversion",
            help="With --teacher: fixed-point or ordinary.  [default: fixed-point]",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone", help="With --teacher: what it was taught on.  [default: embedded]"
        ),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Draw photographs: one PNG each, of its size, black on white."""
    from jobs.extract.extract import run_extract
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    machine = choose_machine(device, dtype)
    with open_events() as on_event:
        if not teacher:
            teachers = {"--prompt": prompt, "--inversion": inversion, "--backbone": backbone}
            for name, value in teachers.items():
                if value is not None:
                    raise ValueError(f"{name} is for a teacher: give --teacher and its folder too")
            run_extract(model, inputs, out, machine, on_event, short_side)
            return
        from jobs.extract.by_teacher import (
            InversionOptions,
            load_teacher_extractor,
            run_extract_by_teacher,
        )

        if short_side is not None:
            raise ValueError("--short-side is the extractor's: a teacher draws at its own size")
        given = {"prompt": prompt, "inversion": inversion}
        options = InversionOptions(
            **{name: text for name, text in given.items() if text is not None}
        )
        teacher_extractor = load_teacher_extractor(
            model, "embedded" if backbone is None else backbone, options, machine
        )
        run_extract_by_teacher(teacher_extractor, inputs, out, on_event)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of an extractor (<run>/extractor).")],
    recipe: Annotated[
        str, typer.Option("--recipe", help="Also score generated images and the teacher.")
    ] = "",
    run: Run = None,
    photographs: Annotated[
        list[str] | None,
        typer.Option("--photographs", help="Image, folder, or `bundled`.  [default: bundled]"),
    ] = None,
    drawings: Annotated[
        Path | None, typer.Option("--drawings", help="True drawings of the photographs' folder.")
    ] = None,
    truth: Annotated[
        str, typer.Option("--truth", help="xdog, edges, lineart or teacher.  [default: by style]")
    ] = "",
    held_out: Annotated[int, typer.Option("--held-out", min=1, help="Generated images.")] = 24,
    scenes: Annotated[int, typer.Option("--scenes", min=0, help="Procedural scenes.")] = 24,
    perceptual: Annotated[
        str, typer.Option("--perceptual", help="embedded, or alex:FILE for the real LPIPS.")
    ] = "embedded",
    inception: Annotated[
        str, typer.Option("--inception", help="File of an Inception-v3, for FID and KID.")
    ] = "",
    with_teacher: Annotated[
        bool, typer.Option("--with-teacher", help="Also the recipe's teacher, by inversion.")
    ] = False,
    short_side: ShortSide = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder.  [default: evaluation beside MODEL]")
    ] = None,
    device: Device = "auto",
) -> None:
    """Score an extractor against known drawings, beside a blank page and an edge filter."""
    from jobs.evaluation.evaluate import Measurement, evaluate_and_print

    measurement = Measurement(
        photographs=tuple(photographs or ["bundled"]),
        drawings=drawings,
        truth=truth,
        held_out=held_out,
        scenes=scenes,
        perceptual=perceptual,
        inception=inception,
        teacher=with_teacher,
        short_side_px=short_side,
    )
    evaluate_and_print(model, out or model.parent / "evaluation", measurement, recipe, run, device)


@app.command()
def report(recipe: RecipeName, run: Run = None) -> None:
    """Write one page about a run: pictures, scores, times, provenance."""
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
    """Go through source, teach, generate, distill, extract, evaluate, and write the report."""
    from jobs.demo import run_demo
    from jobs.runtime.session import open_session

    with open_session(recipe, run, device, dtype) as session:
        run_demo(session)


@app.command()
def style(
    name: Annotated[str, typer.Argument(metavar="STYLE", help="xdog, edges or sobel.")],
    image: Annotated[Path, typer.Argument(help="Image to draw.")],
    out: Annotated[Path, typer.Option("--out", help="PNG file for the drawing.")],
) -> None:
    """Draw an image in a style that is known: by formula, or a network that comes along."""
    from jobs.experiments.style import draw_style

    draw_style(name, image, out)


@app.command("train-embedded")
def train_embedded(
    out: Annotated[Path, typer.Option("--out", help="Folder for weights and model card.")],
    work: Annotated[
        Path, typer.Option("--work", help="Folder for checkpoints, to go on from.")
    ] = Path("runs/embedded"),
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Make the embedded models from a seed, with their model card; hours without a GPU."""
    from jobs.experiments.train_embedded import run_train_embedded
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    with open_events(work / "events.jsonl") as on_event:
        run_train_embedded(out, work, seed, choose_machine(device), on_event)
