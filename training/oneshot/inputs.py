"""The seam of teaching: what any system's one-shot training starts from, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from pipeline.events import OnEvent
from pipeline.recipe.recipe import Recipe
from training.keeper import FolderKeeper, Keeper
from training.oneshot.samples import Spread, alone


@dataclass(frozen=True)
class TeachInputs:
    """What a training is given.

    Attributes:
        source: folder of the example's image, as `onesketch source` left it.
        drawing: file of the drawing of it; None: where the recipe says.
        locations: of models by kind (`backbone`, `clip`, `perceptual`): folders, files or ids.
        prompts: captions of the kind that the backbone was trained on.
        keeper: where checkpoints outlive the process; by default in the training's folder.
        spread: where samples are made that do not depend on what is learned.
        device: such as `cpu` or `cuda:0`.
        dtype: of the backbone's numbers.
    """

    recipe: Recipe
    source: Path
    locations: Mapping[str, str]
    prompts: Sequence[str]
    device: str
    dtype: torch.dtype
    drawing: Path | None = None
    keeper: Keeper = field(default_factory=FolderKeeper)
    spread: Spread = alone


class TeacherTraining(Protocol):
    """Teaches one system; registered by the teacher's name."""

    def __call__(self, inputs: TeachInputs, folder: Path, on_event: OnEvent) -> None:
        """Train into a folder, or resume what was interrupted there.

        The record (`training.oneshot.record`) is written last: a folder that has it is complete,
        and is only checked.

        Raises:
            OtherRunError: the folder holds another training.
            ValueError: the inputs cannot be used.
        """
        ...
