"""`onesketch evaluate`: how close the extractor's drawings are to known ones, beside baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs import weights
from jobs.comparison import EXTRACTOR, columns, write_comparison
from jobs.devices import Machine, choose_machine
from jobs.events import OnEvent
from jobs.held_out import (
    LINE_ART,
    TEACHER,
    PictureSet,
    drawn_set,
    generated_set,
    photograph_set,
    scene_set,
)
from jobs.outputs import write_json
from jobs.photographs import BUNDLED, find_photographs
from jobs.recipes import open_recipe
from jobs.scores import SCORES, beats_baselines, print_table
from jobs.session import open_events
from jobs.teachers import held_out_pairs
from pipeline.recipe import Recipe
from training.evaluation import BASELINES, evaluate
from training.evaluation import Extractor as ExtractorFunction
from training.extractor import Extractor
from training.perceptual import Perceptual, load_perceptual
from training.styles import STYLES

COMPUTED = tuple(name for name in STYLES if name not in BASELINES)
TRUTHS = (*COMPUTED, LINE_ART, TEACHER)
SCENE_SIZE_PX = 128


@dataclass(frozen=True)
class Measurement:
    """What to evaluate on.

    truth: a computed style, `lineart` (scenes only) or `teacher` (generated only); empty: the
    recipe's own style where it can be computed, else what is known without one.
    held_out, scenes: numbers of pictures. drawings: true drawings of the photographs' folder.
    short_side_px: what the extractor draws at, as `extract` has it.
    """

    photographs: Sequence[str] = (BUNDLED,)
    drawings: Path | None = None
    truth: str = ""
    held_out: int = 24
    scenes: int = 24
    perceptual: str = weights.EMBEDDED
    short_side_px: int | None = None


def choose_truth(measurement: Measurement, recipe: Recipe | None) -> str:
    """Choose the truth; ValueError for a name that is none."""
    if measurement.truth in TRUTHS:
        return measurement.truth
    if measurement.truth:
        raise ValueError(f"unknown truth {measurement.truth!r}: use one of {', '.join(TRUTHS)}")
    if recipe is None:
        return LINE_ART
    return recipe.style if recipe.style in COMPUTED else TEACHER


def choose_sets(
    measurement: Measurement, truth: str, recipe: Recipe | None, machine: Machine
) -> list[PictureSet]:
    """Gather the held-out pictures, those with a truth first."""
    style = truth if truth in COMPUTED else ""
    sets: list[PictureSet] = []
    if recipe is not None and truth != LINE_ART:
        pairs = held_out_pairs(recipe, machine, measurement.held_out)
        sets.append(generated_set(pairs, truth))
    if measurement.drawings is not None:
        sets.append(drawn_set(Path(measurement.photographs[0]), measurement.drawings))
    else:
        sets.append(photograph_set(find_photographs(measurement.photographs), style))
    if not style and measurement.scenes:
        sets.append(scene_set(measurement.scenes, SCENE_SIZE_PX))
    return sets


def measure_set(
    pictures: PictureSet, sketch: ExtractorFunction, perceptual: Perceptual, out: Path
) -> dict[str, Any]:
    """Score one set and keep some of its pictures; gives its part of the scores file."""
    shown = write_comparison(out / pictures.name, pictures, sketch)
    systems = {EXTRACTOR: sketch, **pictures.systems}
    result = None
    if pictures.truth:
        result = evaluate(systems, pictures.pairs, pictures.truth, perceptual)
    return {
        "name": pictures.name,
        "truth": pictures.truth,
        "pictures": len(pictures.pairs),
        "shown": shown,
        "columns": columns(pictures),
        "result": result,
        "beats_baselines": beats_baselines(result) if result else {},
    }


def run_evaluate(
    model: Path,
    out: Path,
    measurement: Measurement,
    recipe: Recipe | None,
    machine: Machine,
    on_event: OnEvent,
) -> list[dict[str, Any]]:
    """Evaluate an extractor; leaves out/scores.json and pictures, gives the scores of each set."""
    extractor = Extractor.load(model, machine.device)
    sketch = partial(extractor.sketch, short_side_px=measurement.short_side_px)
    perceptual = load_perceptual(
        weights.locate("perceptual", measurement.perceptual), machine.device
    )
    truth = choose_truth(measurement, recipe)
    measured = []
    for pictures in choose_sets(measurement, truth, recipe, machine):
        scores = measure_set(pictures, sketch, perceptual, out)
        measured.append(scores)
        on_event("evaluate.set", set=pictures.name, truth=pictures.truth or "none",
                 pictures=len(pictures.pairs), **scores["beats_baselines"])  # fmt: skip
    write_json(out / SCORES, {"sets": measured, "encoders": {"lpips": perceptual.label}})
    return measured


def evaluate_and_print(
    model: Path, out: Path, measurement: Measurement, recipe: str, run: Path | None, device: str
) -> None:
    """Evaluate as the command line asks, and print the table."""
    opened = open_recipe(recipe, run) if recipe else None
    with open_events() as on_event:
        machine = choose_machine(device)
        measured = run_evaluate(model, out, measurement, opened, machine, on_event)
    print_table(measured, Console())
