"""Commands about recipes: a new one, and what one says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import Run

app = typer.Typer()


@app.command()
def init(
    style: Annotated[str, typer.Argument(metavar="STYLE", help="Name of the style.")],
    size: Annotated[
        str, typer.Option("--size", help="laptop, gpu or cluster.  [default: by this machine]")
    ] = "",
    backbone: Annotated[
        str, typer.Option("--backbone", help="Folder, address or hub id of a diffusion model.")
    ] = "embedded",
    run: Run = None,
) -> None:
    """Write a recipe for a style of your own.

    It has every key with its meaning and its default; a file that is there stays.
    """
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.new_recipe import new_recipe, size_named, write_new_recipe

    chosen = size_named(size or ("gpu" if choose_machine("auto").device != "cpu" else "laptop"))
    recipe = new_recipe(style, chosen, backbone, run or "")
    path = Path(f"{style}.yaml")
    write_new_recipe(recipe, chosen, path)
    typer.echo(
        f"wrote {path}, sized for: {chosen}\n"
        f"next: onesketch source {path} --scale 8\n"
        f"then: draw over {style}-x8.png, and save the lines alone as {recipe.example.drawing}, "
        "beside the recipe"
    )


@app.command("recipe")
def show_recipe(
    recipe: Annotated[
        str, typer.Argument(metavar="[RECIPE]", help="File, or the name of a shipped style.")
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")
    ] = False,
) -> None:
    """Print a recipe with every key.

    The last line names what differs from the defaults.
    """
    from jobs.runtime.recipes import open_recipe
    from pipeline.recipe.commented import commented_yaml, differing_keys
    from pipeline.recipe.recipe import Recipe

    if schema:
        typer.echo(json.dumps(Recipe.model_json_schema(), indent=2))
        return
    if not recipe:
        raise ValueError("expected a recipe's file, the name of a shipped style, or --schema")
    opened = open_recipe(recipe)
    typer.echo(commented_yaml(opened), nl=False)
    typer.echo(f"# Not at their defaults: {', '.join(differing_keys(opened))}")
