"""The `onesketch` command: what a person types. Commands of one purpose lie in a file beside this.

What does the work is imported by the command that needs it: `onesketch --help` must not load torch.
"""

from __future__ import annotations

import os
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from jobs.cli import cluster, dataset, drawing, experiments, project, recipes, stages
from jobs.cli.command_group import CommandGroup, add_under_heading
from jobs.runtime.cores import calm_threads
from jobs.runtime.events import quiet_libraries, show_no_progress

app = typer.Typer(
    name="onesketch",
    cls=CommandGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One drawing in; a dataset in that style and a fast extractor out.",
)
add_under_heading(app, "Recipes", recipes.app)
add_under_heading(app, "From a drawing to an extractor", stages.app)
add_under_heading(app, "Drawing with an extractor", drawing.app)
add_under_heading(app, "Cluster", cluster.app)
add_under_heading(app, "Looking after a dataset", dataset.app)
add_under_heading(app, "The method, checked", experiments.app)
add_under_heading(app, "The project itself", project.app)


@app.callback()
def options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; answers and errors alone.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """One drawing in; a dataset in that style and a fast extractor out."""
    if quiet:
        show_no_progress()
    quiet_libraries()
    calm_threads(os.environ)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"onesketch {version_of('onesketch')}")
        raise typer.Exit
