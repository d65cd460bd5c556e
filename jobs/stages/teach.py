"""`onesketch teach`: one-shot training of the teacher on the example."""

from pathlib import Path

import torch

from jobs.runtime.files import write_png
from jobs.runtime.session import Session
from jobs.runtime.weights import locate, locate_backbone
from jobs.stages.prompts import choose_prompts, embed_prompts
from pipeline.diffusion.backbone import Backbone, backbone_folder, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.example import load_example
from pipeline.diffusion.timesteps import equal, representative
from pipeline.gsketch.network import GSketch
from pipeline.pixels import sketch_to_uint8
from pipeline.recipe import Recipe
from training.encoders.clip import load_clip
from training.encoders.lpips import load_perceptual
from training.oneshot.loop import fit, remake_known
from training.oneshot.spec import Lesson

KNOWN = "known.png"


def choose_timesteps(recipe: Recipe, backbone: Path) -> tuple[int, ...]:
    """Turn the recipe's timesteps into step indices, counted from the end."""
    chosen, steps = recipe.teach.timesteps, recipe.sampler.steps
    if chosen == "representative":
        return representative(backbone, steps)
    if chosen == "equal":
        return equal(steps)
    return tuple(chosen)


def fit_prior(recipe: Recipe, backbone: Backbone, folder: Path) -> ConditionPrior:
    """Fit the distribution of conditions to the prompts' embeddings."""
    prompts = choose_prompts(recipe, folder)
    embeddings = embed_prompts(backbone, prompts)
    return ConditionPrior.fit(embeddings, facts={"prompts": str(len(prompts))})


def make_lesson(session: Session) -> Lesson:
    """Load all that one-shot training starts from; the cheap checks come first."""
    recipe, machine = session.recipe, session.machine
    pair = load_example(recipe, session.folder.source)
    location = locate_backbone(recipe.backbone)
    clip = load_clip(locate("clip", recipe.teach.clip), machine.device)
    perceptual = load_perceptual(locate("perceptual", recipe.teach.perceptual), machine.device)
    backbone = load_backbone(location, machine.device, machine.dtype)
    folder = backbone_folder(location)
    return Lesson(
        pair=pair,
        backbone=backbone,
        prior=fit_prior(recipe, backbone, folder),
        timesteps=choose_timesteps(recipe, folder),
        teach=recipe.teach,
        sampler=recipe.sampler,
        clip=clip,
        perceptual=perceptual,
    )


@torch.no_grad()
def draw_known(lesson: Lesson, sketcher: GSketch, path: Path) -> None:
    """Keep what the teacher makes of the one image it was taught on."""
    known = remake_known(lesson)
    sketch = sketcher.to(lesson.backbone.device)(known.taps, known.images)
    write_png(path, sketch_to_uint8(sketch)[0])


def run_teach(session: Session) -> None:
    """Train the teacher, or go on where it stopped; a finished one is only checked."""
    folder = session.folder.teacher
    with session.events.stage("teach"):
        lesson = make_lesson(session)
        sketcher = fit(lesson, folder, session.events)
        if not (folder / KNOWN).is_file():
            draw_known(lesson, sketcher, folder / KNOWN)
    session.events("teach.ready", teacher=str(folder))
