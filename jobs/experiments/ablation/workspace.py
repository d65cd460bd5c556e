"""Where an ablation's pieces lie, and the models that each piece of work on them needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.rows import Cell
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.recipe import Recipe
from training.encoders.clip import ClipEncoder, load_clip
from training.encoders.lpips import Perceptual, load_perceptual

# Sets of pictures: what the backbone generates, and scenes brought into it by inversion. The same
# captions make both.
GENERATED, SCENES = "generated", "scenes"
MOST_SHOWN = 4


@dataclass(frozen=True)
class Workspace:
    """What fixes an ablation; goes to worker processes, so that paths are absolute.

    recipe: with the ablation's example, iterations and CDST's duration; timesteps: the full
    method's; union: every step that a row taps; images: how many each training is scored on.
    """

    out: Path
    recipe: Recipe
    backbone: str
    clip: str
    perceptual: str
    device: str
    dtype: torch.dtype
    timesteps: tuple[int, ...]
    union: tuple[int, ...]
    images: int

    @property
    def prior(self) -> Path:
        """D_SD, of all trainings."""
        return self.out / "prior.safetensors"

    @property
    def examples(self) -> Path:
        """The example pictures, and their drawing in each style."""
        return self.out / "examples"

    def samples(self, seed: int, cdst: bool) -> Path:
        """Training samples of one seed, which all rows and styles share."""
        return self.out / "samples" / f"seed-{seed}" / ("cdst" if cdst else "random")

    def evaluation(self, pictures: str) -> Path:
        """Pictures to score on, with their taps: of the set GENERATED or SCENES."""
        return self.out / "evaluation" / pictures

    def truth(self, style: str) -> Path:
        """True drawings of the pictures that a style is scored on."""
        return self.out / "truth" / style

    def training(self, cell: Cell) -> Path:
        """One training: a teacher, its sketches of the pictures, and their scores."""
        return self.out / "trainings" / cell.place

    @property
    def shown(self) -> list[int]:
        """Which pictures are shown: evenly spaced, not the best ones."""
        count = min(self.images, MOST_SHOWN)
        return [int(i) for i in np.linspace(0, self.images - 1, count).round()]

    def batches(self) -> list[range]:
        """The pictures to score on, by number, as they lie in batch files."""
        size = self.recipe.sampler.batch
        firsts = range(0, self.images, size)
        return [range(first, min(first + size, self.images)) for first in firsts]


@dataclass(frozen=True)
class Models:
    """The loaded models."""

    backbone: Backbone
    prior: ConditionPrior
    clip: ClipEncoder
    perceptual: Perceptual


@lru_cache(maxsize=1)
def load_models(workspace: Workspace) -> Models:
    """Load the models once a process; on a CPU a piece of work keeps to one core."""
    if workspace.device == "cpu":
        torch.set_num_threads(1)
    return Models(
        load_backbone(workspace.backbone, workspace.device, workspace.dtype),
        ConditionPrior.load(workspace.prior),
        load_clip(workspace.clip, workspace.device),
        load_perceptual(workspace.perceptual, workspace.device),
    )


def picture_set(style: str) -> str:
    """Name the set of pictures whose true drawings a style knows."""
    return SCENES if style == LINE_ART else GENERATED


def picture_sets(styles: Sequence[str]) -> list[str]:
    """Name the sets of pictures that some styles need."""
    return sorted({picture_set(style) for style in styles})
