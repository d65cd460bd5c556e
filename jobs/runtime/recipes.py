"""Which recipe a command works on: a file, or one of the styles shipped with the package."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from jobs.runtime.weights import EMBEDDED
from pipeline.recipe.fields import RecipeError, RecipeMistakesError
from pipeline.recipe.recipe import Recipe, at_home, load_recipe
from pipeline.storage.address import is_address, open_store

# DiffSketch's own (5.1); by file, since nothing is downloaded.
_REAL = {
    "teach.clip": "ViT-B-32-quickgelu:FILE",
    "teach.perceptual": "alex:FILE",
    "distill.perceptual": "vgg19:FILE",
}
_STYLES = Path(__file__).parents[1] / "styles"


def open_recipe(name: str, run: str | None = None) -> Recipe:
    """Load a recipe, with its artefacts in `run` where that is given.

    Args:
        name: a YAML file, or the name of a shipped style.
        run: folder or s3://bucket/prefix for the artefacts; a dataset elsewhere stays there.

    Raises:
        ValueError: there is no such recipe, it is not valid, or nothing can be where `run` is.
    """
    recipe = load_recipe(find_recipe(name))
    if run is not None:
        recipe = _move_run(recipe, run)
    _check_run(recipe.run)
    _check_networks(recipe)
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
        f"no recipe {name!r}: there is no such file, and no such shipped style "
        f"({', '.join(shipped)}){_near(path, shipped)} `onesketch init` writes a new one."
    )


def _near(path: Path, shipped: Mapping[str, Path]) -> str:
    """Name what somebody may have meant: YAML files beside the path, or shipped styles."""
    beside = [str(file) for file in sorted(path.parent.glob("*.y*ml"))]
    close = difflib.get_close_matches(str(path), [*beside, *shipped])
    return f"; did you mean {' or '.join(close)}?" if close else "."


def shipped_styles() -> dict[str, Path]:
    """Map the names of the shipped styles to their recipe files."""
    return {path.parent.name: path for path in sorted(_STYLES.glob("*/recipe.yaml"))}


def _move_run(recipe: Recipe, run: str) -> Recipe:
    """Put a recipe's artefacts into another place; a dataset elsewhere stays there."""
    # As a path s3://bucket and gs://bucket would lose a slash, and become folders.
    run = run.rstrip("/") if is_address(run) or "://" in run else Path(at_home(run)).as_posix()
    update: dict[str, object] = {"run": run}
    if recipe.dataset.out == f"{recipe.run}/dataset":
        update["dataset"] = recipe.dataset.model_copy(update={"out": f"{run}/dataset"})
    return recipe.model_copy(update=update)


def _check_networks(recipe: Recipe) -> None:
    """Refuse a real backbone whose style the embedded networks would judge: they know toys only.

    Raises:
        RecipeError: one for each network that is missing.
    """
    if recipe.backbone == EMBEDDED:
        return
    given = {
        "teach.clip": recipe.teach.clip,
        "teach.perceptual": recipe.teach.perceptual,
        "distill.perceptual": recipe.distill.perceptual,
    }
    errors = [
        RecipeError(key, name, f"a network of real pictures, such as {_REAL[key]}")
        for key, name in given.items()
        if name == EMBEDDED
    ]
    if errors:
        raise errors[0] if len(errors) == 1 else RecipeMistakesError(errors)


def _check_run(run: str) -> None:
    """Refuse a place where no artefacts can be."""
    if is_address(run) or "://" in run:
        open_store(run)
        return
    path = Path(run)
    nearest = next((place for place in (path, *path.parents) if place.exists()), path)
    if nearest.is_file():
        raise ValueError(f"{nearest} is a file, and a run needs a folder: give another --run")
