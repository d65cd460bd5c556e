"""`onesketch evaluate`: how close the extractor's drawings are to known ones, with baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from jobs.evaluation.page import write_evaluation_page
from jobs.evaluation.picture_sets import (
    LINE_ART,
    TEACHER,
    PictureSet,
    drawn_set,
    generated_set,
    photograph_set,
    picture_key,
    scene_set,
    with_rivals,
)
from jobs.evaluation.score_table import beats_baselines, print_scores
from jobs.evaluation.scores import EvaluationScores, SetScores, write_scores
from jobs.evaluation.side_by_side import EXTRACTOR, columns_of, write_side_by_side
from jobs.extract.by_teacher import (
    InversionOptions,
    TeacherExtractor,
    groups,
    load_teacher_extractor,
)
from jobs.extract.extract import load_extractor
from jobs.nodes.teacher_factory import held_out_pairs
from jobs.pages.answers import print_json
from jobs.runtime import weights
from jobs.runtime.devices import Machine, choose_machine
from jobs.runtime.events import Events, open_events
from jobs.runtime.run_folder import EVALUATION
from jobs.runtime.session import Session, open_session
from jobs.runtime.weights import locate_backbone
from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from pipeline.images.find import BUNDLED, find_photographs
from pipeline.recipe.recipe import Recipe
from pipeline.storage.address import is_address, open_store
from pipeline.storage.bundle import publish_bundle
from pipeline.storage.node_cache import NodeCache
from training.encoders.inception import load_inception
from training.encoders.lpips import load_perceptual
from training.evaluation.evaluate import BASELINES, DrawFunction, ScoringNetworks, evaluate
from training.styles.registry import STYLES

_COMPUTED = tuple(name for name in STYLES if name not in BASELINES)
_TRUTHS = (*_COMPUTED, LINE_ART, TEACHER)
_SCENE_SIZE_PX = 128


@dataclass(frozen=True)
class Measurement:
    """What to evaluate on, and with which networks.

    Attributes:
        photographs: files, folders or `bundled`.
        drawings: folder of true drawings of the photographs, which are one folder then.
        rivals: other systems' drawings of the photographs, to score beside: a folder for each name.
        truth: a computed style, `lineart` (scenes only) or `teacher` (generated only); empty: the
            recipe's own style where it can be computed, else the truths that need no style.
        held_out: number of generated pictures.
        scenes: number of procedural scenes.
        perceptual: network of LPIPS.
        inception: file of the network of FID and KID; empty: neither is scored.
        teacher: also score the recipe's teacher on pictures that it did not generate, by inversion.
        short_side_px: resolution that the extractor draws at; None: the picture's own.
    """

    photographs: Sequence[str] = (BUNDLED,)
    drawings: Path | None = None
    rivals: Mapping[str, Path] = field(default_factory=dict)
    truth: str = ""
    held_out: int = 24
    scenes: int = 24
    perceptual: str = weights.EMBEDDED
    inception: str = ""
    teacher: bool = False
    short_side_px: int | None = None


def run_evaluate(
    model: Path,
    out: Path,
    measurement: Measurement,
    session: Session | None,
    machine: Machine,
    on_event: OnEvent,
) -> EvaluationScores:
    """Evaluate an extractor; leave out/scores.json, out/evaluation.html and pictures.

    Args:
        model: folder of the extractor.
        session: on the recipe of its run; without one there are no generated pictures.

    Raises:
        ValueError: the measurement asks for what is unknown, missing or does not go together.
    """
    extractor = load_extractor(model, machine.device, torch.float32)
    sketch = partial(extractor.sketch, short_side_px=measurement.short_side_px)
    networks = load_scoring_networks(measurement, machine)
    truth = _choose_truth(measurement, session.recipe if session else None)
    teacher_extractor = choose_teacher_extractor(measurement, session, machine)
    sets = []
    for pictures in choose_sets(measurement, truth, session):
        if teacher_extractor and TEACHER not in (pictures.truth, *pictures.systems):
            pictures = with_teacher(pictures, teacher_extractor)
        scores = measure_set(pictures, sketch, networks, out)
        sets.append(scores)
        on_event("evaluate.set", set=pictures.name, truth=pictures.truth or "none",
                 pictures=len(pictures.pairs), **scores.beats_baselines)  # fmt: skip
    found = EvaluationScores(sets, encoder_names(networks))
    write_scores(out, found)
    page = write_evaluation_page(out, found)
    on_event("evaluate.page", page=str(page))
    return found


@dataclass(frozen=True)
class Evaluated:
    """What the command line names: extractor, recipe and where its run is, where results go.

    Attributes:
        model: a folder or an address.
        recipe: a file or name; empty for none.
        run: of the recipe; None: the recipe's own.
        out: None: `evaluation` beside the extractor.
    """

    model: str
    recipe: str = ""
    run: str | None = None
    out: Path | None = None


def evaluate_and_print(
    evaluated: Evaluated,
    measurement: Measurement,
    device: str,
    cache: NodeCache,
    as_json: bool = False,
) -> None:
    """Evaluate as the command line asks, and print the table, or the same for programs."""
    model = Path(cache.local_path(evaluated.model))
    with ExitStack() as stack:
        if evaluated.recipe:
            session = stack.enter_context(
                open_session(evaluated.recipe, evaluated.run, device, cache=cache)
            )
            events: Events = session.events
        else:
            session, events = None, stack.enter_context(open_events())
        out = evaluated.out
        far = out is None and is_address(evaluated.model)
        if out is None:
            beside = Path(evaluated.model).parent
            out = stack.enter_context(cache.work_folder()) if far else beside
            out = out / EVALUATION
        with events.stage("evaluate"):
            scores = run_evaluate(model, out, measurement, session, choose_machine(device), events)
        if far:
            run, _, _ = evaluated.model.rstrip("/").rpartition("/")
            publish_bundle(open_store(run), EVALUATION, out, replace=True)
            events("evaluate.published", evaluation=f"{run}/{EVALUATION}")
    if as_json:
        print_json(asdict(scores))
    else:
        print_scores(scores.sets, Console())


def choose_sets(measurement: Measurement, truth: str, session: Session | None) -> list[PictureSet]:
    """Gather the held-out pictures, those that the teacher generates first.

    Raises:
        ValueError: drawings are given for more than one folder of photographs, or a rival's do
            not fit them.
    """
    style = truth if truth in _COMPUTED else ""
    sets: list[PictureSet] = []
    if session is not None and truth != LINE_ART:
        pairs = held_out_pairs(session, measurement.held_out)
        sets.append(generated_set(pairs, truth))
    if measurement.drawings is not None:
        if len(measurement.photographs) != 1:
            raise ValueError(
                "true drawings (--drawings) belong to one folder of photographs; got "
                f"{len(measurement.photographs)}: {', '.join(measurement.photographs)}"
            )
        real = drawn_set(Path(measurement.photographs[0]), measurement.drawings)
    else:
        real = photograph_set(find_photographs(measurement.photographs), style)
    sets.append(with_rivals(real, measurement.rivals))
    if not style and measurement.scenes:
        sets.append(scene_set(measurement.scenes, _SCENE_SIZE_PX))
    return sets


def load_scoring_networks(measurement: Measurement, machine: Machine) -> ScoringNetworks:
    """Load the networks that score."""
    location = weights.locate("perceptual", measurement.perceptual)
    perceptual = load_perceptual(location, machine.device)
    if not measurement.inception:
        return ScoringNetworks(perceptual)
    return ScoringNetworks(perceptual, load_inception(Path(measurement.inception), machine.device))


def encoder_names(networks: ScoringNetworks) -> dict[str, str]:
    """Name the networks that scored; what is missing is said in words."""
    inception = networks.inception
    return {
        "lpips": networks.perceptual.label,
        "inception": inception.label if inception else "none given: no FID, no KID",
    }


def choose_teacher_extractor(
    measurement: Measurement, session: Session | None, machine: Machine
) -> TeacherExtractor | None:
    """Load the recipe's teacher to draw by inversion; None where that was not asked for.

    Raises:
        ValueError: it was, and there is no recipe.
    """
    if not measurement.teacher:
        return None
    if session is None:
        raise ValueError("scoring the teacher (--with-teacher) needs the recipe: give --recipe")
    session.place.fetch("teacher")
    backbone = session.cache.local_path(locate_backbone(session.recipe.backbone))
    folder = session.folder.teacher
    return load_teacher_extractor(folder, backbone, InversionOptions(), machine)


def with_teacher(pictures: PictureSet, teacher_extractor: TeacherExtractor) -> PictureSet:
    """Add the teacher, drawing by inversion, to the systems of a set."""
    drawn: dict[str, Pixels] = {}
    for group in groups(pictures.pairs, teacher_extractor.batch):
        read = [pair.read()[0] for pair in group]
        for picture, result in zip(read, teacher_extractor.draw(read), strict=True):
            drawn[picture_key(picture)] = result.drawing
    systems = {**pictures.systems, TEACHER: lambda picture: drawn[picture_key(picture)]}
    return replace(pictures, systems=systems)


def measure_set(
    pictures: PictureSet, sketch: DrawFunction, networks: ScoringNetworks, out: Path
) -> SetScores:
    """Score one set and keep some of its pictures in a folder of `out`."""
    shown = write_side_by_side(out / pictures.name, pictures, sketch)
    systems = {EXTRACTOR: sketch, **pictures.systems}
    result = None
    if pictures.truth:
        result = evaluate(systems, pictures.pairs, pictures.truth, networks)
    return SetScores(
        name=pictures.name,
        truth=pictures.truth,
        pictures=len(pictures.pairs),
        shown=shown,
        columns=columns_of(pictures),
        result=result,
        beats_baselines=beats_baselines(result) if result else {},
    )


def _choose_truth(measurement: Measurement, recipe: Recipe | None) -> str:
    if measurement.truth in _TRUTHS:
        return measurement.truth
    if measurement.truth:
        raise ValueError(f"unknown truth {measurement.truth!r}: use one of {', '.join(_TRUTHS)}")
    if recipe is None:
        return LINE_ART
    return recipe.style if recipe.style in _COMPUTED else TEACHER
