"""`teach:` of DiffSketch: one-shot training of G_sketch (DiffSketch 4.2, 5.1) and its ablations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.recipe.fields import PositiveInt, Rate, RecipeError, Section, Weight, described
from pipeline.recipe.teach import TeachSection


class LossWeights(Section):
    """The lambdas of equations 3 and 4 (DiffSketch 5.1)."""

    across: Weight = 1.0
    """Directional CLIP loss across domains."""
    within: Weight = 1.0
    """Directional CLIP loss within a domain."""
    l1: Weight = 30.0
    """Reconstruction of the drawing, by pixels."""
    lpips: Weight = 15.0
    """Reconstruction of the drawing, by LPIPS."""
    clip: Weight = 30.0
    """Reconstruction of the drawing, by CLIP."""


class DiffSketchTeach(TeachSection):
    """How G_sketch is trained; the defaults are the paper's."""

    teacher: Literal["diffsketch"] = "diffsketch"
    """The system that is taught."""
    iterations: PositiveInt = 1200
    """Iterations of Adam, one new sample each."""
    diffusion_duration: PositiveInt = 1000
    """Iterations over which conditions move from the example's to any other (CDST)."""
    timesteps: Literal["representative", "equal"] | tuple[Annotated[int, Field(ge=0)], ...] = (
        described(
            "representative",
            "'representative', 'equal' or a list of step indices (0 = the last step)",
        )
    )
    """Steps whose features are used: representative, equal, or a list of indices (0: the last)."""
    learning_rate: Rate = 1e-4
    """Of Adam; the embedded models learn far better at 1.0e-3."""
    vae_features: bool = True
    """Whether the autoencoder's features are used besides the UNet's."""
    weights: LossWeights = LossWeights()
    """Of the loss terms."""
    reconstruction: Literal["l1", "l2"] = "l1"
    """Norm of the pixel term."""
    cdst: bool = True
    """Condition diffusion sampling for training; false: conditions at random from the start."""

    @property
    def effort(self) -> str:
        """How much training that is, in a few words for reports."""
        return f"{self.iterations:,} iterations"

    def check_steps(self, steps: int) -> None:
        """Refuse steps to tap that a process of `steps` steps does not have."""
        chosen = self.timesteps
        if isinstance(chosen, str):
            return
        if not chosen or len(set(chosen)) != len(chosen) or max(chosen) >= steps:
            raise RecipeError(
                "teach.timesteps",
                list(chosen),
                f"distinct step indices from 0 (the last step) to {steps - 1}, for {steps} steps",
            )


def diffsketch_of(teach: TeachSection) -> DiffSketchTeach:
    """Return a recipe's `teach:` as DiffSketch's; RecipeError for another system."""
    if not isinstance(teach, DiffSketchTeach):
        raise RecipeError("teach.teacher", teach.teacher, "diffsketch, which this is about")
    return teach
