"""The rows of the ablation (DiffSketch 5.3, Table 1): what each changes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from pipeline.recipe.diffsketch import DiffSketchTeach
from pipeline.seeds import generator

FULL = "full"
NO_CDST = "no-cdst"
NO_VAE = "no-vae"
_STEPS_STREAM = "ablation-steps"


@dataclass(frozen=True)
class AblationRow:
    """One row of Table 1: which steps are tapped, and what changes in the recipe's `teach`.

    Attributes:
        name: in folders and files.
        title: in the table.
        steps: which are tapped.
        draw: number of the random set, for `random` steps.
        teach: the keys of the recipe's `teach` that differ, with their values.
    """

    name: str
    title: str
    steps: Literal["representative", "random", "last"] = "representative"
    draw: int = 0
    teach: Mapping[str, object] = field(default_factory=dict)

    def timesteps(self, representative: Sequence[int], steps: int) -> tuple[int, ...]:
        """Return the steps that the row taps, counted from the end.

        Args:
            representative: those that the full method taps.
            steps: how many there are.
        """
        if self.steps == "last":
            return (0,)
        if self.steps == "random":
            return random_steps(steps, len(representative), self.draw)
        return tuple(representative)

    def settings(self, teach: DiffSketchTeach, seed: int) -> DiffSketchTeach:
        """Return the recipe's one-shot training with this row's change and a seed."""
        return DiffSketchTeach.model_validate(
            teach.model_dump() | dict(self.teach) | {"seed": seed}
        )

    @property
    def cdst(self) -> bool:
        """Whether the row's samples are those of CDST."""
        return bool(self.teach.get("cdst", True))


ROWS: dict[str, AblationRow] = {
    row.name: row
    for row in (
        AblationRow(FULL, "Full method"),
        AblationRow("random-1", "Random steps 1", steps="random", draw=1),
        AblationRow("random-2", "Random steps 2", steps="random", draw=2),
        AblationRow("one-step", "One step (t = 0)", steps="last"),
        AblationRow(NO_CDST, "Without CDST", teach={"cdst": False}),
        AblationRow("l2", "L2 for L1", teach={"reconstruction": "l2"}),
        AblationRow(NO_VAE, "Without VAE features", teach={"vae_features": False}),
    )
}


@dataclass(frozen=True)
class Cell:
    """One training of the ablation."""

    style: str
    row: str
    seed: int

    @property
    def place(self) -> str:
        """Its folder, relative to that of all trainings."""
        return f"{self.style}/{self.row}/seed-{self.seed}"


def cells(styles: Sequence[str], rows: Sequence[str], seed: int) -> list[Cell]:
    """List all trainings of one seed, row by row, so that a table fills evenly."""
    return [Cell(style, row, seed) for row in rows for style in styles]


def all_steps(
    rows: Sequence[AblationRow], representative: Sequence[int], steps: int
) -> tuple[int, ...]:
    """List every step that one of the rows taps: what shared samples must hold."""
    tapped = {t for row in rows for t in row.timesteps(representative, steps)}
    return tuple(sorted(tapped))


def random_steps(steps: int, count: int, draw: int) -> tuple[int, ...]:
    """Draw steps without replacement, rising: a function of the arguments.

    Args:
        steps: how many there are.
        count: how many to draw.
        draw: number of the random set.
    """
    order = torch.randperm(steps, generator=generator(0, draw, _STEPS_STREAM))
    return tuple(sorted(order[:count].tolist()))
