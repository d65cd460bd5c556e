"""`onesketch teach`: one-shot training of the teacher on the example."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from jobs.nodes.cluster import Share
from jobs.nodes.models import Models
from jobs.nodes.node_task import run_where_models_are
from jobs.nodes.sampler_actors import SamplerActors
from jobs.runtime.session import Session
from jobs.runtime.weights import ModelKind
from jobs.stages.again import naming_again
from jobs.stages.prompts import prompts_for, read_prompts
from pipeline.diffusion.backbone import backbone_folder
from pipeline.diffusion.drawing import drawing_multiple
from pipeline.diffusion.example import IMAGE_FILE
from pipeline.images.read import read_photograph
from pipeline.recipe.recipe import Recipe
from training.oneshot.inputs import TeachInputs
from training.oneshot.record import check_same_teacher
from training.oneshot.registry import find_training


def run_teach(session: Session) -> None:
    """Train the teacher, or resume its training; a finished one is only checked."""
    recipe = session.recipe
    with session.events.stage("teach"), naming_again("teach"):
        session.place.fetch("source", "teacher")
        check_same_teacher(session.folder.teacher, recipe.teach.teacher)
        _keep_drawing(session)
        _say_multiple(session)
        teaching = _Teaching(Models.of(recipe), _own_prompts(recipe))
        with session.place.lease("teach", session.events):
            run_where_models_are(teaching, session)
    session.events("teach.ready", teacher=f"{recipe.run}/teacher")


@dataclass(frozen=True)
class _Teaching:
    """The training itself; `prompts` are those of the recipe's file, None where it names none."""

    models: Models
    prompts: list[str] | None

    def __call__(self, session: Session, share: Share | None) -> None:
        """Train with the models of this node; a share's other workers make samples for it."""
        recipe, place, machine = session.recipe, session.place, session.machine
        place.fetch("source", "teacher")
        locations = {kind: self.models.find(kind, session.cache) for kind in get_args(ModelKind)}
        inputs = TeachInputs(
            recipe=recipe,
            source=session.folder.source,
            locations=locations,
            prompts=self.prompts or prompts_for(recipe.backbone, _folder(locations), None),
            device=machine.device,
            dtype=machine.dtype,
            drawing=session.drawing,
            keeper=place.keeper("teacher"),
        )
        if share is not None:
            dtype, on_event = machine.dtype, session.events
            actors = SamplerActors(self.models, session.cache, share, dtype, on_event)
            inputs = replace(inputs, spread=actors)
        train = find_training(recipe.teach.teacher)
        train(inputs, session.folder.teacher, session.events)


def _folder(locations: Mapping[ModelKind, str]) -> Path:
    return backbone_folder(locations["backbone"])


def _own_prompts(recipe: Recipe) -> list[str] | None:
    return read_prompts(recipe.prompts_path) if recipe.prompts_path else None


def _say_multiple(session: Session) -> None:
    """Say that a larger drawing is averaged down; mistakes in it are found with the models."""
    image = session.folder.source / IMAGE_FILE
    if image.is_file() and session.drawing.is_file():
        size = read_photograph(image).shape[:2]
        multiple = drawing_multiple(session.drawing, size)
        if multiple > 1:
            session.events(
                "teach.drawing",
                averaged=f"{multiple} x {multiple} pixels to one",
                height_px=size[0],
            )


def _keep_drawing(session: Session) -> None:
    """Put the drawing of a run at an address there: other machines may not have the file."""
    folder, drawing = session.folder.example, session.drawing
    if session.place.store is None or folder.exists() or not drawing.is_file():
        return
    folder.mkdir(parents=True)
    shutil.copyfile(drawing, folder / f"drawing{drawing.suffix.lower()}")
    session.place.publish("example")
