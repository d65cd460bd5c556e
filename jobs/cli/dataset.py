"""Commands about datasets: what one will cost, how far it is, and whether it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import (
    AsJson,
    Device,
    Dtype,
    Price,
    RecipeName,
    Run,
    SingleWriter,
    StoreAddress,
    WorkerCount,
    local_path,
)

app = typer.Typer()


@app.command()
def plan(
    recipe: RecipeName,
    run: Run = None,
    price: Price = 0.0,
    workers: WorkerCount = "auto",
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: AsJson = False,
) -> None:
    """Estimate what a dataset will take, from a short trial.

    It writes nothing to the store.
    """
    from jobs.dataset.plan import run_plan
    from jobs.runtime.session import open_session
    from pipeline.recipe.workers import worker_range

    asked = worker_range(workers)
    with open_session(recipe, run, device, dtype) as session:
        run_plan(session, price, asked, as_json)


@app.command()
def preview(
    recipe: RecipeName,
    run: Run = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Spread over the dataset.")] = 16,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Draw a few pairs of the dataset to come.

    They come as one picture to look at.
    """
    from jobs.dataset.preview import run_preview
    from jobs.runtime.session import open_session

    with open_session(recipe, run, device, dtype) as session:
        run_preview(session, pairs)


@app.command()
def status(dataset: StoreAddress, as_json: AsJson = False) -> None:
    """Say how far a dataset is, from the store alone."""
    from jobs.dataset.status import run_status

    run_status(dataset, as_json)


@app.command("list")
def list_found(address: StoreAddress, as_json: AsJson = False) -> None:
    """List the runs and datasets under an address."""
    from jobs.dataset.listing import run_list

    run_list(address, as_json)


@app.command()
def verify(dataset: StoreAddress, as_json: AsJson = False) -> None:
    """Check every byte, count and picture of a dataset.

    Exit code 0: sound. 1: what is there is sound, but not all is there. 2: not to be trusted, or
    there is no dataset that can be read.
    """
    from jobs.dataset.verify import run_verify
    from jobs.runtime.events import open_events

    with open_events() as events:
        code = run_verify(dataset, events, as_json)
    raise typer.Exit(code)


@app.command()
def repair(
    recipe: RecipeName,
    run: Run = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    single_writer: SingleWriter = False,
) -> None:
    """Make again what `verify` faults, and only that.

    What is at fault is taken away, generated again, and verified once more.
    """
    from jobs.dataset.repair import run_repair
    from jobs.runtime.session import open_session

    with open_session(recipe, run, device, dtype) as session:
        code = run_repair(session, single_writer)
    raise typer.Exit(code)


@app.command()
def gc(
    dataset: StoreAddress,
    delete: Annotated[bool, typer.Option("--delete", help="Remove them; else only list.")] = False,
    min_age_h: Annotated[
        float, typer.Option("--min-age-h", min=0, help="Younger ones may be a living run's.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """List what dead writers left behind, or remove it."""
    from jobs.dataset.gc import run_gc

    run_gc(dataset, delete, min_age_h, as_json)


@app.command()
def export(
    dataset: StoreAddress,
    out: Annotated[
        Path,
        typer.Option("--out", parser=local_path, metavar="FOLDER", help="New, or empty."),
    ],
    form: Annotated[
        str, typer.Option("--form", help="imagefolder (loose files), or huggingface (Parquet).")
    ] = "imagefolder",
    where: Annotated[
        str, typer.Option("--where", help="Only pairs for which this holds: 'blankness < 0.5'.")
    ] = "",
) -> None:
    """Write a finished dataset in another form.

    For tools that do not read tar files.
    """
    from jobs.dataset.export import run_export
    from jobs.runtime.events import open_events

    with open_events() as events:
        run_export(dataset, out, form, where, events)
