"""What a run's extractor cannot do yet, as its page says it."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.evaluation.scores_section import SETS, ScoreGroup
from jobs.runtime.weights import EMBEDDED
from pipeline.recipe.recipe import Recipe

# Decibels; drawings without a grid have about 0.
_GRID_SEEN = 1.0


def limits(recipe: Recipe, groups: Sequence[ScoreGroup]) -> list[str]:
    """List, a sentence each, what is known to be missing."""
    found = [
        f"{group.name}: it is not shown to be better than pictures without any learning, of which "
        f"{group.best_baseline().method.lower()} comes nearest to the truth."
        for group in groups
        if not group.beats and group.name in (SETS["photographs"], SETS["drawn"])
    ]
    for group in groups:
        grid = next((row.grid for row in group.rows if row.method == "Extractor"), "")
        if grid and float(grid) > _GRID_SEEN:
            found.append(f"{group.name}: its drawings carry a grid of {grid} dB.")
    if recipe.backbone == EMBEDDED:
        found.append(
            "It has learned from a small model that can imagine ten kinds of toys: faces, hands, "
            "hair and fur are new to it."
        )
    if recipe.distill.preset == "small":
        found.append(
            "It is the small network, which sees little of what surrounds a point: outlines that "
            "depend on the whole of an object break."
        )
    found.append(
        f"It has seen one drawing, and {recipe.dataset.samples:,} drawings of the teacher that "
        "learned from that one: what the drawing does not show, such as text or cloth, is guessed."
    )
    found.append("It draws each picture by itself: the frames of a film flicker.")
    return found
