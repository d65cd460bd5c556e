"""The rows of the paper's ablation (5.3, Table 1): what each changes, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from pipeline.recipe import Teach
from pipeline.seeds import generator

FULL = "full"
NO_CDST = "no-cdst"
NO_VAE = "no-vae"
STEPS_STREAM = "ablation-steps"


@dataclass(frozen=True)
class Row:
    """One row of Table 1: which steps are tapped, and what changes in the recipe's `teach`.

    draw: number of the random set, for `random` steps.
    """

    name: str
    title: str
    steps: Literal["representative", "random", "last"] = "representative"
    draw: int = 0
    teach: Mapping[str, object] = field(default_factory=dict)

    def timesteps(self, representative: Sequence[int], steps: int) -> tuple[int, ...]:
        """The tapped steps of `steps`, counted from the end, where the full method taps some."""
        if self.steps == "last":
            return (0,)
        if self.steps == "random":
            return random_steps(steps, len(representative), self.draw)
        return tuple(representative)

    def settings(self, teach: Teach, seed: int) -> Teach:
        """The recipe's one-shot training with this row's change and a training's seed."""
        return Teach.model_validate(teach.model_dump() | dict(self.teach) | {"seed": seed})

    @property
    def cdst(self) -> bool:
        """Whether the row's samples are those of CDST."""
        return bool(self.teach.get("cdst", True))


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(FULL, "Full method"),
        Row("random-1", "Random steps 1", steps="random", draw=1),
        Row("random-2", "Random steps 2", steps="random", draw=2),
        Row("one-step", "One step (t = 0)", steps="last"),
        Row(NO_CDST, "Without CDST", teach={"cdst": False}),
        Row("l2", "L2 for L1", teach={"reconstruction": "l2"}),
        Row(NO_VAE, "Without VAE features", teach={"vae_features": False}),
    )
}


def random_steps(steps: int, count: int, draw: int) -> tuple[int, ...]:
    """Draw `count` of `steps` steps without replacement, rising: a function of its arguments."""
    order = torch.randperm(steps, generator=generator(0, draw, STEPS_STREAM))
    return tuple(sorted(order[:count].tolist()))


def all_steps(rows: Sequence[Row], representative: Sequence[int], steps: int) -> tuple[int, ...]:
    """Every step that one of the rows taps: what shared samples must hold."""
    tapped = {t for row in rows for t in row.timesteps(representative, steps)}
    return tuple(sorted(tapped))


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
    """All trainings of one seed, row by row, so that a table fills evenly."""
    return [Cell(style, row, seed) for row in rows for style in styles]
