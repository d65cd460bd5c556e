"""The kinds of sections that several systems share: a new system is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pipeline.recipe.diffsketch import DiffSketchTeach
from pipeline.recipe.fields import Section, Seed, added
from pipeline.recipe.kinds import OneOf
from pipeline.recipe.teach import TeachSection

DEFAULT_TEACHER = "diffsketch"


class GeneratedExample(Section):
    """The one example: what was generated (prompt, seed) and the drawing made over it."""

    prompt: Annotated[str, Field(min_length=1)]
    """What the image shows."""
    seed: Seed
    """Of the image's noise: another seed, another image."""
    drawing: str
    """File of the drawing, beside the recipe or s3://..."""
    invert: bool = added(False, since="0.2.0")
    """The drawing is white on black."""


TEACH_SECTIONS: dict[str, type[TeachSection]] = {
    "diffsketch": DiffSketchTeach,
}

EXAMPLE_SECTIONS: dict[str, type[Section]] = {
    "generated": GeneratedExample,
}


def _teacher_of(data: Mapping[str, Any]) -> str:
    return str(data.get("teacher", DEFAULT_TEACHER))


def _example_of(data: Mapping[str, Any]) -> str:
    # Distinguished by their keys: people write what they have, not what it is called.
    return "generated"


Teach = Annotated[TeachSection, OneOf(TEACH_SECTIONS, _teacher_of, key="teacher")]
Example = Annotated[GeneratedExample, OneOf(EXAMPLE_SECTIONS, _example_of)]
