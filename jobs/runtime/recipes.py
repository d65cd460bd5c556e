"""Which recipe a command works on: a file, or one of the styles shipped with the package."""

from __future__ import annotations

from pathlib import Path

from pipeline.recipe.recipe import Recipe, load_recipe

_STYLES = Path(__file__).parents[1] / "styles"


def open_recipe(name: str, run: Path | None = None) -> Recipe:
    """Load a recipe, with its artefacts in `run` where that is given.

    Args:
        name: a YAML file, or the name of a shipped style.
        run: folder for the artefacts; a dataset elsewhere (s3://) stays there.

    Raises:
        ValueError: there is no such recipe, it is not valid, or no folder can be where `run` is.
    """
    recipe = load_recipe(find_recipe(name))
    if run is not None:
        recipe = _move_run(recipe, run)
    _check_run(recipe.run_path)
    return recipe


def find_recipe(name: str) -> Path:
    """Find the file of a recipe.

    Args:
        name: a YAML file, or the name of a shipped style.

    Raises:
        ValueError: it is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_styles()
    if name in shipped:
        return shipped[name]
    raise ValueError(
        f"no recipe {name!r}: give a YAML file, or the name of a shipped style "
        f"({', '.join(shipped) or 'none here'})"
    )


def shipped_styles() -> dict[str, Path]:
    """Map the names of the shipped styles to their recipe files."""
    return {path.parent.name: path for path in sorted(_STYLES.glob("*/recipe.yaml"))}


def _move_run(recipe: Recipe, run: Path) -> Recipe:
    """Put a recipe's artefacts into another folder; a dataset elsewhere (s3://) stays there."""
    update: dict[str, object] = {"run": run.as_posix()}
    if recipe.dataset.out == f"{recipe.run}/dataset":
        out = (run / "dataset").as_posix()
        update["dataset"] = recipe.dataset.model_copy(update={"out": out})
    return recipe.model_copy(update=update)


def _check_run(run: Path) -> None:
    """Refuse a place where no folder for artefacts can be."""
    if run.parts[:1] == ("s3:",):
        raise ValueError(
            f"the run folder {run} must be local: give a folder to --run, and s3://bucket/prefix "
            "to dataset.out in the recipe"
        )
    nearest = next((path for path in (run, *run.parents) if path.exists()), run)
    if nearest.is_file():
        raise ValueError(f"{nearest} is a file, and a run needs a folder: give another --run")
