"""`onesketch teach`: one-shot training of the teacher on the example."""

from __future__ import annotations

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
    recipe, folder = session.recipe, session.folder.teacher
    with session.events.stage("teach"):
        # Before the hours that all this takes, not after.
        find_teacher(recipe.teach.teacher)
        find_student(recipe.distill.student)
        check_same_teacher(folder, recipe.teach.teacher)
        train = find_training(recipe.teach.teacher)
        train(_teach_inputs(session), folder, session.events)
    session.events("teach.ready", teacher=str(folder))


def _teach_inputs(session: Session) -> TeachInputs:
    recipe, machine = session.recipe, session.machine
    backbone = locate_backbone(recipe.backbone)
    return TeachInputs(
        recipe=recipe,
        source=session.folder.source,
        locations={
            "backbone": backbone,
            "clip": locate("clip", recipe.teach.clip),
            "perceptual": locate("perceptual", recipe.teach.perceptual),
        },
        prompts=choose_prompts(recipe, backbone_folder(backbone)),
        device=machine.device,
        dtype=machine.dtype,
    )
