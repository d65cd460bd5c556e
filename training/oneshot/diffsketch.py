"""Teaching DiffSketch: what the training of `training.oneshot.loop` starts from and leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.diffusion.backbone import Backbone, backbone_folder, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.example import load_example
from pipeline.diffusion.sampling import embed_prompts
from pipeline.diffusion.timesteps import equal, representative
from pipeline.events import OnEvent
from pipeline.recipe.diffsketch import diffsketch_of
from pipeline.recipe.recipe import Recipe
from training.encoders.clip import load_clip
from training.encoders.lpips import load_perceptual
from training.oneshot.inputs import TeachInputs
from training.oneshot.loop import fit, generated_samples
from training.oneshot.spec import OneShotSpec


def teach_diffsketch(inputs: TeachInputs, folder: Path, on_event: OnEvent) -> None:
    """Train G_sketch into a folder, or resume there; see `training.oneshot.inputs`."""
    spec = load_spec(inputs)
    with inputs.spread(generated_samples(spec), spec.teach.iterations) as samples:
        fit(spec, folder, on_event, samples=samples, keeper=inputs.keeper)


def load_spec(inputs: TeachInputs) -> OneShotSpec:
    """Load all that one-shot training starts from; the cheap checks come first."""
    recipe, locations, device = inputs.recipe, inputs.locations, inputs.device
    pair = load_example(recipe, inputs.source, inputs.drawing)
    clip = load_clip(locations["clip"], device)
    perceptual = load_perceptual(locations["perceptual"], device)
    backbone = load_backbone(locations["backbone"], device, inputs.dtype)
    return OneShotSpec(
        pair=pair,
        backbone=backbone,
        prior=fit_prior(backbone, inputs.prompts),
        timesteps=choose_timesteps(recipe, backbone_folder(locations["backbone"])),
        teach=diffsketch_of(recipe.teach),
        sampling=recipe.sampler,
        clip=clip,
        perceptual=perceptual,
    )


def choose_timesteps(recipe: Recipe, backbone: Path) -> tuple[int, ...]:
    """Turn the recipe's timesteps into step indices, counted from the end.

    Args:
        backbone: its folder, which may hold a selection of its own.
    """
    chosen, steps = diffsketch_of(recipe.teach).timesteps, recipe.sampler.steps
    if chosen == "representative":
        return representative(backbone, steps)
    if chosen == "equal":
        # As many as it is compared with.
        return equal(steps, len(representative(backbone, steps)))
    return tuple(chosen)


def fit_prior(backbone: Backbone, prompts: Sequence[str]) -> ConditionPrior:
    """Fit the distribution of conditions to the prompts' embeddings.

    By one thread: sums are rounded by their order, and the identity of a training, which may be
    resumed on a machine with other cores, has the prior's hash.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        embeddings = embed_prompts(backbone, prompts)
        return ConditionPrior.fit(embeddings, metadata={"prompts": str(len(prompts))})
    finally:
        torch.set_num_threads(threads)
