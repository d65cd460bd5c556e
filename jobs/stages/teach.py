"""`onesketch teach`: one-shot training of the teacher on the example."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobs.runtime.session import Session
from jobs.runtime.weights import locate, locate_backbone
from jobs.stages.prompts import choose_prompts
from pipeline.diffusion.backbone import backbone_folder
from pipeline.systems.registry import find_teacher
from training.oneshot.inputs import TeachInputs
from training.oneshot.record import check_same_teacher
from training.oneshot.registry import find_training
from training.students.registry import find_student


def run_teach(session: Session) -> None:
    """Train the teacher, or resume its training; a finished one is only checked."""
    recipe, place = session.recipe, session.place
    folder = session.folder.teacher
    with session.events.stage("teach"):
        place.fetch("source", "teacher")
        # Before the hours that all this takes, not after.
        find_teacher(recipe.teach.teacher)
        find_student(recipe.distill.student)
        check_same_teacher(folder, recipe.teach.teacher)
        train = find_training(recipe.teach.teacher)
        inputs = _teach_inputs(session)
        _keep_drawing(session, inputs.drawing)
        train(inputs, folder, session.events)
    session.events("teach.ready", teacher=f"{recipe.run}/teacher")


def _keep_drawing(session: Session, drawing: Path | None) -> None:
    """Put the drawing of a run at an address there: other machines may not have the file."""
    folder = session.folder.example
    if session.place.store is None or drawing is None or folder.exists():
        return
    folder.mkdir(parents=True)
    shutil.copyfile(drawing, folder / f"drawing{drawing.suffix.lower()}")
    session.place.publish("example")


def _teach_inputs(session: Session) -> TeachInputs:
    recipe, machine = session.recipe, session.machine
    local = session.cache.local_path
    backbone = local(locate_backbone(recipe.backbone))
    return TeachInputs(
        recipe=recipe,
        source=session.folder.source,
        locations={
            "backbone": backbone,
            "clip": local(locate("clip", recipe.teach.clip)),
            "perceptual": local(locate("perceptual", recipe.teach.perceptual)),
        },
        prompts=choose_prompts(recipe, backbone_folder(backbone)),
        device=machine.device,
        dtype=machine.dtype,
        drawing=session.drawing,
        keeper=session.place.keeper("teacher"),
    )
