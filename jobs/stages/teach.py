"""`onesketch teach`: one-shot training of the teacher on the example."""

from __future__ import annotations

from jobs.runtime.session import Session
from jobs.runtime.weights import locate, locate_backbone
from jobs.stages.prompts import choose_prompts
from pipeline.diffusion.backbone import backbone_folder
from training.oneshot.inputs import TeachInputs
from training.oneshot.registry import find_training


def run_teach(session: Session) -> None:
    """Train the teacher, or resume its training; a finished one is only checked."""
    recipe, folder = session.recipe, session.folder.teacher
    with session.events.stage("teach"):
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
