"""`onesketch select`: find the denoising steps that represent the process (DiffSketch 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.experiments.selection.analysis import Check, CountSearch, Outcome, analyse
from jobs.experiments.selection.classes import Classes, classes_by_condition, classes_by_word
from jobs.experiments.selection.features import Features, FeatureSettings, make_features
from jobs.experiments.selection.page import write_selection_page
from jobs.nodes.models import find_model, name_everywhere
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.runtime.weights import EMBEDDED
from jobs.stages.prompts import prompts_for
from pipeline.analysis.selection_count import candidates
from pipeline.diffusion.backbone import backbone_folder, fingerprint_folder
from pipeline.diffusion.timesteps import write_selection
from pipeline.storage.address import is_address
from pipeline.storage.node_cache import NodeCache
from pipeline.whole_file import write_json
from training.embedded.scenes.scene import KIND_NAMES

_FIGURES = "selection.json"
_FEATURES = "features"
_PAGE = "selection.html"


@dataclass(frozen=True)
class Selection:
    """What was asked for; guidance as in the recipe, workers 0: by the machine."""

    images: int
    steps: int
    guidance: float
    prompts: Path | None
    seed: int
    write: bool
    workers: int


def run_select(
    backbone: str, out: Path, selection: Selection, machine: Machine, events: Events
) -> None:
    """Sample images, select their steps, write figures and page.

    Args:
        backbone: a recipe's name of it.
        out: folder for features, figures and page.
        selection: with `write`, what is selected becomes the backbone's own.

    Raises:
        ValueError: backbone or prompts are missing, there are too few steps, or the folder holds
            features of other settings.
    """
    if selection.write and is_address(backbone):
        raise ValueError(f"--write: {backbone} is an address; select on a folder, then upload it")
    name = name_everywhere(backbone)
    folder = backbone_folder(find_model("backbone", name, NodeCache()))
    settings = _make_settings(backbone, folder, selection, machine)
    with ray_runtime(machine), events.stage("select"):
        features = make_features(
            settings, name, out / _FEATURES, machine, selection.workers, events
        )
        classes = _find_classes(backbone, settings, features)
        outcome = analyse(features.steps, classes, settings.seed, machine, selection.workers)
    figures = {
        **_asked_figures(backbone, selection, settings),
        **_feature_figures(features),
        **_outcome_figures(outcome),
        "machine": describe_machine(machine),
        "versions": versions(),
        "fingerprint": settings.fingerprint,
    }
    write_json(out / _FIGURES, figures)
    page = write_selection_page(out / _PAGE, outcome, classes, features, figures)
    chosen = outcome.steps[outcome.default]
    if selection.write:
        write_selection(folder, selection.steps, chosen)
    events("select.ready", method=outcome.default, steps=list(chosen), page=str(page))


def draw_prompts(prompts: list[str], images: int, seed: int) -> tuple[str, ...]:
    """Draw one prompt per image; none is repeated before all have been drawn."""
    draw = np.random.default_rng(seed)
    rounds = -(-images // len(prompts))
    order = np.concatenate([draw.permutation(len(prompts)) for _ in range(rounds)])
    return tuple(prompts[i] for i in order[:images])


def _make_settings(
    backbone: str, folder: Path, selection: Selection, machine: Machine
) -> FeatureSettings:
    """Gather all that the features depend on; the cheap checks come first."""
    candidates(selection.steps)
    prompts = list(prompts_for(backbone, folder, selection.prompts))
    return FeatureSettings(
        fingerprint=fingerprint_folder(folder),
        prompts=draw_prompts(prompts, selection.images, selection.seed),
        steps=selection.steps,
        guidance=selection.guidance,
        seed=selection.seed,
        dtype=str(machine.dtype).removeprefix("torch."),
    )


def _find_classes(backbone: str, settings: FeatureSettings, features: Features) -> Classes:
    """Class the images: by what is in them where the prompts' words are known, else by meaning."""
    if backbone == EMBEDDED:
        return classes_by_word(settings.prompts, KIND_NAMES)
    return classes_by_condition(settings.prompts, features.conditions, settings.seed)


def _asked_figures(
    backbone: str, selection: Selection, settings: FeatureSettings
) -> dict[str, Any]:
    """Return what was asked for as JSON-able data."""
    return {
        "backbone": backbone,
        "images": selection.images,
        "process_steps": selection.steps,
        "guidance": selection.guidance,
        "seed": selection.seed,
        "projection_dims": settings.dims,
    }


def _feature_figures(features: Features) -> dict[str, Any]:
    """Return layers and memory as JSON-able data; shares are of the variance before division."""
    variance = features.deviations**2
    return {
        "values_per_step": int(features.lengths.sum()),
        "layer_shares_undivided": (variance / variance.sum()).tolist(),
        "peak_gib": features.peak_gib,
    }


def _outcome_figures(outcome: Outcome) -> dict[str, Any]:
    """Return every figure of a selection as JSON-able data."""
    return {
        "count": outcome.count,
        "modes": [count.agreement.mode for count in outcome.counts],
        "modes_agree": all(count.agreement.mode == outcome.count for count in outcome.counts),
        "default": outcome.default,
        "steps": {name: list(chosen) for name, chosen in outcome.steps.items()},
        "counts": [_count_figures(count) for count in outcome.counts],
        "check_on_axes": _check_figures(outcome.on_axes),
        "check_in_full": _check_figures(outcome.in_full),
        "axes": {
            "images": outcome.basis.images,
            "share_of_variance": outcome.basis.variance.tolist(),
        },
    }


def _count_figures(count: CountSearch) -> dict[str, Any]:
    """Return the search for K with one number of components as JSON-able data."""
    agreement, curves = count.agreement, count.curves
    numbers, images = np.unique(agreement.chosen, return_counts=True)
    return {
        "components": count.components,
        "mean": agreement.mean,
        "deviation": agreement.deviation,
        "mode": agreement.mode,
        "images_with_equal_ranks": agreement.matched,
        "histogram": {str(k): int(n) for k, n in zip(numbers, images, strict=True)},
        "curves": {
            "counts": curves.counts.tolist(),
            "wcss": curves.wcss.mean(0).tolist(),
            "silhouette": curves.silhouette.mean(0).tolist(),
            "davies_bouldin": curves.davies_bouldin.mean(0).tolist(),
        },
    }


def _check_figures(check: Check) -> dict[str, Any]:
    """Return DiffSketch's Table 4 in one space as JSON-able data."""
    random = np.array(check.random)
    return {
        "least_distance": check.methods,
        "shared_nearest": check.shared,
        "random": {
            "sets": len(random),
            "least": float(random.min()),
            "mean": float(random.mean()),
            "most": float(random.max()),
        },
        "beats_equal_and_all_random": {name: check.beats_all(name) for name in check.methods},
    }
