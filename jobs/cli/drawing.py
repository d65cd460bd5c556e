"""Commands for those who have an extractor: photographs and films in, drawings out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from jobs.cli.options import (
    CacheFolder,
    CacheGib,
    Model,
    NodeOptions,
    RecipeName,
    Run,
    ShortSide,
    local_path,
    node_cache,
    place,
    unfold_options,
)

if TYPE_CHECKING:
    from jobs.extract.extract import ExtractOptions
    from jobs.extract.film import FilmOptions

app = typer.Typer()

Dtype32 = Annotated[
    str, typer.Option("--dtype", help="Extractor's numbers: float32, float16, bfloat16.")
]
Threshold = Annotated[
    float | None, typer.Option("--threshold", help="In (0, 1): darker is black, else white.")
]
Thickness = Annotated[
    int, typer.Option("--thickness", help="Pixels by which lines grow, or shrink below 0.")
]
Invert = Annotated[bool, typer.Option("--invert", help="White on black.")]


@dataclass(frozen=True)
class DrawingOptions:
    """How photographs are drawn, and what becomes of the drawings."""

    short_side: ShortSide = None
    dtype: Dtype32 = "float32"
    batch: Annotated[int, typer.Option("--batch", min=1, help="Of one size, drawn at once.")] = 1
    threshold: Threshold = None
    thickness: Thickness = 0
    invert: Invert = False
    alpha: Annotated[bool, typer.Option("--alpha", help="Ink over nothing.")] = False
    svg: Annotated[
        str, typer.Option("--svg", metavar="KIND", help="SVG: outline or centerline.")
    ] = ""
    again: Annotated[
        bool, typer.Option("--again", help="Draw those anew that are there, and replace them.")
    ] = False

    def options(self, device: str) -> ExtractOptions:
        """Build what the stage takes; ValueError for what contradicts itself."""
        from jobs.extract.extract import ExtractOptions
        from jobs.runtime.devices import choose_dtype
        from pipeline.drawings.finish import Finish
        from pipeline.drawings.vectors import SVG_KINDS

        if self.svg and (self.alpha or self.svg not in SVG_KINDS):
            raise ValueError(
                "--svg has ink over nothing already: leave --alpha out"
                if self.alpha
                else f"--svg {self.svg}: expected one of {', '.join(SVG_KINDS)}"
            )
        form = self.svg or ("alpha" if self.alpha else "grey")
        finish = Finish(cast(Any, form), self.threshold, self.thickness, self.invert)
        dtype = choose_dtype(self.dtype, device)
        return ExtractOptions(self.short_side, dtype, self.batch, finish, self.again)


@dataclass(frozen=True)
class VideoOptions:
    """How films are drawn."""

    short_side: ShortSide = None
    dtype: Dtype32 = "float32"
    batch: Annotated[int, typer.Option("--batch", min=1, help="Frames drawn at once.")] = 4
    form: Annotated[
        str, typer.Option("--form", help="drawing, over (ink on the film), or alpha (in .mov).")
    ] = "drawing"
    steady: Annotated[
        bool, typer.Option("--steady", help="Average drawings in time where the film stands still.")
    ] = False
    threshold: Threshold = None
    thickness: Thickness = 0
    invert: Invert = False
    again: Annotated[bool, typer.Option("--again", help="Replace a film of this name.")] = False

    def options(self, device: str) -> FilmOptions:
        """Build what the stage takes; ValueError for what contradicts itself."""
        from jobs.extract.film import FilmOptions
        from jobs.runtime.devices import choose_dtype
        from pipeline.drawings.finish import Finish
        from pipeline.video.film import FilmStyle

        finish = Finish("grey", self.threshold, self.thickness, self.invert)
        style = FilmStyle(cast(Any, self.form), finish, self.steady)
        dtype = choose_dtype(self.dtype, device)
        return FilmOptions(style, self.short_side, dtype, self.batch, self.again)


@app.command()
@unfold_options
def extract(
    model: Model,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Images, folders, `bundled`; or one s3://bucket/prefix."
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            parser=place,
            metavar="FOLDER|s3://...",
            help="For the drawings, outside the folders that hold the photographs.",
        ),
    ],
    drawing: DrawingOptions,
    node: NodeOptions,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Draw on Ray with so many.  [default: here]")
    ] = 0,
) -> None:
    """Draw photographs with the extractor.

    One PNG or SVG each, of the photograph's size, black on white. A folder is searched with all
    folders in it; names that begin with a dot are left out. Started again, it goes on. With an
    address or --workers Ray workers draw one folder or bucket into another.
    """
    from pipeline.storage.address import is_address

    options = drawing.options(node.device)
    if workers or is_address(out) or any(map(is_address, inputs)):
        _extract_far(model, inputs, out, options, node, workers)
        return
    from jobs.extract.extract import run_extract
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    machine = choose_machine(node.device, drawing.dtype)
    with open_events() as events:
        folder = Path(node_cache(node.cache, node.cache_gib).local_path(model))
        run_extract(folder, inputs, Path(out), machine, events, options)


def _extract_far(
    model: str,
    inputs: list[str],
    out: str,
    options: ExtractOptions,
    node: NodeOptions,
    workers: int,
) -> None:
    from jobs.extract.far import Job, run_extract_far
    from jobs.nodes.ray_session import machine_for_tasks
    from jobs.nodes.ray_tasks import run_tasks
    from jobs.runtime.devices import Asked
    from jobs.runtime.events import open_events
    from pipeline.storage.address import open_store

    if len(inputs) != 1 or options.again:
        raise ValueError(
            "on Ray nothing is drawn anew: leave --again out, and give another --out"
            if options.again
            else f"on Ray one folder or address is drawn, got {len(inputs)}: run once for each"
        )
    cache = node_cache(node.cache, node.cache_gib)
    # Workers have other working directories.
    extractor, source, target = (open_store(place).url for place in (model, inputs[0], out))
    job = Job(extractor, source, target, options, cache)
    with open_events() as events, machine_for_tasks(Asked(node.device)) as machine:
        spread = partial(run_tasks, machine=machine, workers=workers)
        run_extract_far(job, machine.device, spread, events)


@app.command("extract-video")
@unfold_options
def extract_video(
    model: Model,
    film: Annotated[
        Path,
        typer.Argument(parser=local_path, metavar="FILM", help="mp4, mov, mkv, webm or avi."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=local_path,
            metavar="FILE",
            help="The new film: .mp4, .mov or .mkv.",
        ),
    ],
    video: VideoOptions,
    node: NodeOptions,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Draw on Ray with so many.  [default: here]")
    ] = 0,
) -> None:
    """Draw a film with the extractor.

    Size, times and sound are those of the film, which is drawn upright. The answer says how much
    the drawings flicker, in grey levels, as they were drawn and as they were written. Stopped, it
    goes on.
    """
    from jobs.extract.film import run_extract_film
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    options = video.options(node.device)
    machine = choose_machine(node.device, video.dtype)
    spread = None
    if workers:
        from jobs.nodes.ray_tasks import run_tasks

        spread = partial(run_tasks, machine=machine, workers=workers)
    with open_events() as events:
        folder = Path(node_cache(node.cache, node.cache_gib).local_path(model))
        run_extract_film(folder, film, out, machine, events, options, spread)


@app.command()
def publish(
    recipe: RecipeName,
    to: Annotated[
        str,
        typer.Option(
            "--to", parser=place, metavar="FOLDER|s3://...", help="New; for weights, ONNX and card."
        ),
    ],
    author: Annotated[str, typer.Option("--author", help="Who made the drawing.")] = "",
    license: Annotated[  # noqa: A002  # the hub's word
        str, typer.Option("--license", help="As the hub has it: cc-by-4.0, other, ...")
    ] = "",
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Also as ONNX.")] = True,
    run: Run = None,
    cache: CacheFolder = None,
    cache_gib: CacheGib = None,
) -> None:
    """Write a run's extractor for others, with a card.

    The folder is as the Hugging Face hub has them; nothing is sent there. `SketchExtractor` and
    `extract` open it.
    """
    from jobs.report.publish import Statement, run_publish
    from jobs.runtime.session import open_session

    statement = Statement(author, license)
    with open_session(recipe, run, cache=node_cache(cache, cache_gib)) as session:
        typer.echo(run_publish(session, to, statement, onnx))
