"""`teach:` as every system has it; each adds its own keys in a file of its own."""

from __future__ import annotations

from pipeline.recipe.fields import Section, Seed


class TeachSection(Section):
    """Which teacher is taught, and the models and prompts that any of them may ask for."""

    teacher: str
    """The system that is taught."""
    prompts: str | None = None
    """File of captions, one a line, beside the recipe; none: those of the backbone's own world."""
    seed: Seed = 0
    """Of weights, noise and conditions."""
    clip: str = "embedded"
    """CLIP of the losses: embedded, or ARCHITECTURE:FILE such as ViT-B-32-quickgelu:FILE."""
    perceptual: str = "embedded"
    """Network of LPIPS: embedded, or alex:FILE with the real one."""

    @property
    def effort(self) -> str:
        """How much training that is, in a few words for reports; empty where there is no answer."""
        return ""

    def check_steps(self, steps: int) -> None:
        """Refuse what does not fit a process of `steps` steps, by a RecipeError."""
