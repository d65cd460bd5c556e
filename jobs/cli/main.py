"""The `onesketch` command: what a person types. Commands of one purpose lie in a file beside this.

What does the work is imported by the command that needs it: `onesketch --help` must not load torch.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from jobs.cli import cluster, dataset, experiments, project, recipes, stages
from jobs.cli.command_group import CommandGroup, add_under_heading
from jobs.runtime.cores import calm_threads
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
add_under_heading(app, "Recipes", recipes.app)
add_under_heading(app, "From a drawing to an extractor", stages.app)
add_under_heading(app, "Cluster", cluster.app)
add_under_heading(app, "Looking after a dataset", dataset.app)
add_under_heading(app, "The method, checked", experiments.app)
add_under_heading(app, "The project itself", project.app)


@app.callback()
def options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
) -> None:
    """One drawing in; a dataset in that style and a fast extractor out."""
    quiet_libraries()
    calm_threads(os.environ)
