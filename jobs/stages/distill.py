"""`onesketch distill`: the fast extractor, trained on the dataset with Ray Train."""

from __future__ import annotations

from pathlib import Path

import torch

from jobs.nodes.cluster import share_cluster
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.provenance import versions
from jobs.runtime.session import Session
from jobs.runtime.weights import locate
from jobs.stages.again import naming_again
from pipeline.diffusion.example import load_example
from pipeline.recipe.recipe import at_home
from pipeline.recipe.workers import WorkerRange
from pipeline.storage.node_cache import NodeCache
from training.distillation.loop import distill
from training.distillation.ray_train import distill_on_ray
from training.distillation.spec import DistillationSpec, Execution
from training.extraction.extractor_folder import CONFIG
from training.keeper import StoreKeeper


def run_distill(session: Session) -> None:
    """Train the extractor, or resume its training; a finished one is only checked."""
    folder, place = session.folder.extractor, session.place
    with session.events.stage("distill"), naming_again("distill"):
        place.fetch("source", "extractor")
        spec = _make_spec(session)
        if (folder / CONFIG).is_file():
            _check_finished(spec, folder, session)
        else:
            with place.lease("distill", session.events), ray_runtime(session.asked):
                device = share_cluster(session.asked, WorkerRange()).device
                execution = _choose_execution(device, session.cache)
                keeper = place.keeper("extractor")
                far = keeper if isinstance(keeper, StoreKeeper) else None
                distill_on_ray(spec, folder, execution, session.events, keeper=far)
    session.events("distill.ready", extractor=f"{session.recipe.run}/extractor")


def _check_finished(spec: DistillationSpec, folder: Path, session: Session) -> None:
    """Raise OtherRunError where the finished extractor is of another training."""
    execution = _choose_execution("cpu", session.cache)
    distill(spec, folder, execution, session.events)


def _make_spec(session: Session) -> DistillationSpec:
    """Gather all that fixes the outcome of distillation."""
    recipe = session.recipe
    pair = load_example(recipe, session.folder.source, session.drawing)
    return DistillationSpec(
        distill=recipe.distill,
        datasets=(recipe.dataset.out, *map(at_home, recipe.distill.also)),
        image=pair.image,
        drawing=pair.drawing,
        features=locate("perceptual", recipe.distill.perceptual),
        provenance={"recipe": recipe.resolved(), "versions": versions()},
    )


def _choose_execution(device: str, cache: NodeCache) -> Execution:
    """Train in bfloat16 on GPUs, whose range needs no loss scaling, in float32 elsewhere.

    Args:
        device: of the ranks; `auto`: the GPU that each of them gets.
    """
    on_gpu = device == "auto" or device.startswith("cuda")
    dtype = torch.bfloat16 if on_gpu else torch.float32
    return Execution(device="cuda" if on_gpu else device, dtype=dtype, cache=cache)
