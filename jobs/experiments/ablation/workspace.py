"""Where the files of an ablation lie, and the models that each of its tasks needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from jobs.evaluation.picture_sets import LINE_ART
from jobs.experiments.ablation.rows import Cell
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.recipe.diffsketch import DiffSketchTeach, diffsketch_of
from pipeline.recipe.recipe import Recipe
from pipeline.spread import evenly_spaced
from training.encoders.clip import ClipEncoder, load_clip
from training.encoders.lpips import Perceptual, load_perceptual

# Sets of pictures: what the backbone generates, and scenes brought into it by inversion. The same
# captions make both.
PictureKind = Literal["generated", "scenes"]
GENERATED: PictureKind = "generated"
SCENES: PictureKind = "scenes"
_MOST_SHOWN = 4


@dataclass(frozen=True)
class Workspace:
    """Everything that fixes an ablation; it goes to worker processes, so paths are absolute.

    Attributes:
        out: folder of the ablation.
        recipe: with the ablation's example, iterations and CDST's duration.
        backbone: folder or hub id.
        clip: weights of CLIP.
        perceptual: weights of the perceptual network.
        device: where everything runs.
        dtype: of the backbone.
        timesteps: that the full method taps, counted from the END.
        union: every step that some row taps.
        images: how many each training is scored on.
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
    def teach(self) -> DiffSketchTeach:
        """How the full method is trained."""
        return diffsketch_of(self.recipe.teach)

    @property
    def prior(self) -> Path:
        """D_SD, of all trainings."""
        return self.out / "prior.safetensors"

    @property
    def examples(self) -> Path:
        """The example pictures, and their drawing in each style."""
        return self.out / "examples"

    def samples(self, seed: int, cdst: bool) -> Path:
        """Return the folder of a seed's training samples, which all rows and styles share."""
        return self.out / "samples" / f"seed-{seed}" / ("cdst" if cdst else "random")

    def evaluation(self, pictures: PictureKind) -> Path:
        """Return the folder of the pictures to score on, with their taps."""
        return self.out / "evaluation" / pictures

    def truth(self, style: str) -> Path:
        """Return the folder of the true drawings that a style is scored against."""
        return self.out / "truth" / style

    def training(self, cell: Cell) -> Path:
        """Return the folder of one training: teacher, sketches of the pictures, their scores."""
        return self.out / "trainings" / cell.place

    @property
    def shown(self) -> list[int]:
        """Which pictures are shown: evenly spaced, not the best ones."""
        return evenly_spaced(self.images, _MOST_SHOWN)

    def batches(self) -> list[range]:
        """Return the numbers of the pictures to score on, as they lie in batch files."""
        size = self.recipe.sampler.batch
        firsts = range(0, self.images, size)
        return [range(first, min(first + size, self.images)) for first in firsts]


def picture_set(style: str) -> PictureKind:
    """Name the set of pictures whose true drawings a style knows."""
    return SCENES if style == LINE_ART else GENERATED


def picture_sets(styles: Sequence[str]) -> list[PictureKind]:
    """Name the sets of pictures that some styles need."""
    return sorted({picture_set(style) for style in styles})


@dataclass(frozen=True)
class Models:
    """The loaded models of a workspace."""

    backbone: Backbone
    prior: ConditionPrior
    clip: ClipEncoder
    perceptual: Perceptual


@lru_cache(maxsize=1)
def load_models(workspace: Workspace) -> Models:
    """Load the models once a process; on a CPU a task keeps to one core."""
    if workspace.device == "cpu":
        torch.set_num_threads(1)
    return Models(
        load_backbone(workspace.backbone, workspace.device, workspace.dtype),
        ConditionPrior.load(workspace.prior),
        load_clip(workspace.clip, workspace.device),
        load_perceptual(workspace.perceptual, workspace.device),
    )
