"""`onesketch select`: find the denoising steps that represent the whole process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.experiments.selection.analysis import Check, Count, Outcome, analyse
from jobs.experiments.selection.classes import Classes, classes_by_condition, classes_by_word
from jobs.experiments.selection.features import Features, Settings, make_features
from jobs.experiments.selection.page import compose, write_page
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.runtime.ray_session import ray_runtime
from jobs.runtime.weights import EMBEDDED, locate_backbone
from jobs.stages.prompts import prompts_for
from pipeline.analysis.selection_count import candidates
from pipeline.diffusion.backbone import backbone_folder, fingerprint
from pipeline.diffusion.timesteps import write_selection
from pipeline.whole_file import write_json
from training.embedded.scenes.scene import KIND_NAMES

FIGURES = "selection.json"
FEATURES = "features"
PAGE = "selection.html"


@dataclass(frozen=True)
class Selection:
    """What the command was asked for; guidance as in the recipe, 0 workers: by the machine."""

    images: int
    steps: int
    guidance: float
    prompts: Path | None
    seed: int
    write: bool
    workers: int


def draw_prompts(prompts: list[str], images: int, seed: int) -> tuple[str, ...]:
    """Draw one prompt an image, none twice before all were drawn."""
    draw = np.random.default_rng(seed)
    rounds = -(-images // len(prompts))
    order = np.concatenate([draw.permutation(len(prompts)) for _ in range(rounds)])
    return tuple(prompts[i] for i in order[:images])


def make_settings(backbone: str, folder: Path, selection: Selection, machine: Machine) -> Settings:
    """Gather all that the features depend on; the cheap checks come first."""
    candidates(selection.steps)
    prompts = list(prompts_for(backbone, folder, selection.prompts))
    return Settings(
        fingerprint=fingerprint(folder),
        prompts=draw_prompts(prompts, selection.images, selection.seed),
        steps=selection.steps,
        guidance=selection.guidance,
        seed=selection.seed,
        dtype=str(machine.dtype).removeprefix("torch."),
    )


def find_classes(backbone: str, settings: Settings, features: Features) -> Classes:
    """Class the images: by what is in them where the prompts' words are known, else by meaning."""
    if backbone == EMBEDDED:
        return classes_by_word(settings.prompts, KIND_NAMES)
    return classes_by_condition(settings.prompts, features.conditions, settings.seed)


def count_figures(count: Count) -> dict[str, Any]:
    """Give the search for K with one number of components as JSON."""
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


def check_figures(check: Check) -> dict[str, Any]:
    """Give Table 4 in one space as JSON."""
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


def outcome_figures(outcome: Outcome) -> dict[str, Any]:
    """Give every figure of a selection as JSON."""
    return {
        "count": outcome.count,
        "modes": [count.agreement.mode for count in outcome.counts],
        "modes_agree": all(count.agreement.mode == outcome.count for count in outcome.counts),
        "default": outcome.default,
        "steps": {name: list(chosen) for name, chosen in outcome.steps.items()},
        "counts": [count_figures(count) for count in outcome.counts],
        "check_on_axes": check_figures(outcome.on_axes),
        "check_in_full": check_figures(outcome.in_full),
        "axes": {
            "images": outcome.basis.images,
            "share_of_variance": outcome.basis.variance.tolist(),
        },
    }


def asked_figures(backbone: str, selection: Selection, settings: Settings) -> dict[str, Any]:
    """Give what was asked for as JSON."""
    return {
        "backbone": backbone,
        "images": selection.images,
        "process_steps": selection.steps,
        "guidance": selection.guidance,
        "seed": selection.seed,
        "projection_dims": settings.dims,
    }


def feature_figures(features: Features) -> dict[str, Any]:
    """Give the layers and the memory as JSON; shares are of the variance before division."""
    variance = features.deviations**2
    return {
        "values_per_step": int(features.lengths.sum()),
        "layer_shares_undivided": (variance / variance.sum()).tolist(),
        "peak_gib": features.peak_gib,
    }


def run_select(
    backbone: str, out: Path, selection: Selection, machine: Machine, events: Events
) -> None:
    """Sample images, select their steps, write figures and page; --write makes it the default."""
    location = locate_backbone(backbone)
    folder = backbone_folder(location)
    settings = make_settings(backbone, folder, selection, machine)
    with ray_runtime(machine), events.stage("select"):
        features = make_features(
            settings, str(folder.absolute()), out / FEATURES, machine, selection.workers, events
        )
        classes = find_classes(backbone, settings, features)
        outcome = analyse(features.steps, classes, settings.seed, machine, selection.workers)
    figures = {
        **asked_figures(backbone, selection, settings),
        **feature_figures(features),
        **outcome_figures(outcome),
        "machine": describe_machine(machine),
        "versions": versions(),
        "fingerprint": settings.fingerprint,
    }
    write_json(out / FIGURES, figures)
    write_page(out / PAGE, compose(outcome, classes, features, figures))
    chosen = outcome.steps[outcome.default]
    if selection.write:
        write_selection(folder, selection.steps, chosen)
    events("select.ready", method=outcome.default, steps=list(chosen), page=str(out / PAGE))
