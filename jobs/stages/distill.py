"""`onesketch distill`: the fast extractor, trained on the dataset with Ray Train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.runtime.devices import Machine
from jobs.runtime.provenance import versions
from jobs.runtime.ray_session import ray_runtime
from jobs.runtime.session import Session
from jobs.runtime.weights import locate
from pipeline.diffusion.example import load_example
from pipeline.recipe.recipe import Recipe
from training.distillation.extractor import CONFIG
from training.distillation.loop import distill
from training.distillation.ray_train import distill_on_ray
from training.distillation.spec import DistillationSpec, Execution


@dataclass(frozen=True)
class Cache:
    """Where shards from s3 are kept, and what they may take; None is `Execution`'s default."""

    folder: Path | None = None
    gib: float | None = None


def run_distill(session: Session, cache: Cache | None = None) -> None:
    """Train the extractor, or resume its training; a finished one is only checked."""
    folder = session.folder.extractor
    with session.events.stage("distill"):
        spec = _make_spec(session.recipe, session.folder.source)
        execution = _choose_execution(session.machine, cache or Cache())
        if (folder / CONFIG).is_file():
            distill(spec, folder, execution, session.events)
        else:
            with ray_runtime(session.machine):
                distill_on_ray(spec, folder, execution, session.events)
    session.events("distill.ready", extractor=str(folder))


def _make_spec(recipe: Recipe, source: Path) -> DistillationSpec:
    """Gather all that fixes the outcome of distillation."""
    pair = load_example(recipe, source)
    return DistillationSpec(
        distill=recipe.distill,
        dataset=recipe.dataset.out,
        image=pair.image,
        drawing=pair.drawing,
        features=locate("perceptual", recipe.distill.perceptual),
        provenance={"recipe": recipe.resolved(), "versions": versions()},
    )


def _choose_execution(machine: Machine, cache: Cache) -> Execution:
    """Train in bfloat16 on GPUs, whose range needs no loss scaling, in float32 elsewhere."""
    on_gpu = machine.num_gpus > 0
    dtype = torch.bfloat16 if on_gpu else torch.float32
    return Execution(
        device=machine.device,
        dtype=dtype,
        cache=cache.folder,
        cache_bytes=None if cache.gib is None else int(cache.gib * 2**30),
    )
