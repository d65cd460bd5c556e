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
from training.oneshot.loop import fit, sample_example
from training.oneshot.spec import OneShotSpec

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
    return ConditionPrior.fit(embeddings, metadata={"prompts": str(len(prompts))})


def make_spec(session: Session) -> OneShotSpec:
    """Load all that one-shot training starts from; the cheap checks come first."""
    recipe, machine = session.recipe, session.machine
    pair = load_example(recipe, session.folder.source)
    location = locate_backbone(recipe.backbone)
    clip = load_clip(locate("clip", recipe.teach.clip), machine.device)
    perceptual = load_perceptual(locate("perceptual", recipe.teach.perceptual), machine.device)
    backbone = load_backbone(location, machine.device, machine.dtype)
    folder = backbone_folder(location)
    return OneShotSpec(
        pair=pair,
        backbone=backbone,
        prior=fit_prior(recipe, backbone, folder),
        timesteps=choose_timesteps(recipe, folder),
        teach=recipe.teach,
        sampling=recipe.sampler,
        clip=clip,
        perceptual=perceptual,
    )


@torch.no_grad()
def draw_example(spec: OneShotSpec, sketcher: GSketch, path: Path) -> None:
    """Keep what the teacher makes of the one image it was taught on."""
    example = sample_example(spec)
    sketch = sketcher.to(spec.backbone.device)(example.taps, example.images)
    write_png(path, sketch_to_uint8(sketch)[0])


def run_teach(session: Session) -> None:
    """Train the teacher, or go on where it stopped; a finished one is only checked."""
    folder = session.folder.teacher
    with session.events.stage("teach"):
        spec = make_spec(session)
        sketcher = fit(spec, folder, session.events)
        if not (folder / KNOWN).is_file():
            draw_example(spec, sketcher, folder / KNOWN)
    session.events("teach.ready", teacher=str(folder))
