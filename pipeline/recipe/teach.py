"""`teach:` as every system has it; each adds its own keys in a file of its own."""

from __future__ import annotations

from pipeline.recipe.fields import Section, Seed


class TeachSection(Section):
    """Which teacher is taught, and the models and prompts that any of them may ask for.

    Attributes:
        prompts: file of captions, one a line; by default those of the backbone's own world.
        clip, perceptual: the models that teach: `embedded`, or a location.
    """

    teacher: str
    prompts: str | None = None
    seed: Seed = 0
    clip: str = "embedded"
    perceptual: str = "embedded"

    @property
    def effort(self) -> str:
        """How much training that is, in a few words for reports; empty where there is no answer."""
        return ""

    def check_steps(self, steps: int) -> None:
        """Refuse what does not fit a process of `steps` steps, by a RecipeError."""
