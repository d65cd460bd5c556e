"""Sections of several kinds: the section's content decides which one a recipe means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from pipeline.recipe.fields import Section


@dataclass(frozen=True)
class OneOf:
    """An annotation of a recipe's key: its section is one of several kinds.

    Attributes:
        kinds: the sections by the name of their kind.
        key: the section's key that says its kind, where one does.
        choose: returns the name of the kind that the data ask for, registered or not.
    """

    kinds: Mapping[str, type[Section]]
    choose: Callable[[Mapping[str, Any]], str]
    key: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Tell pydantic to validate by the kind that was chosen."""
        choices = {name: handler.generate_schema(kind) for name, kind in self.kinds.items()}
        return core_schema.tagged_union_schema(choices, discriminator=self._tag)

    def _tag(self, data: Any) -> str:
        for name, kind in self.kinds.items():
            if isinstance(data, kind):
                return name
        if isinstance(data, Mapping):
            return self.choose(data)
        # No section at all: any kind says that it expected one.
        return next(iter(self.kinds))


def one_of(field: FieldInfo) -> OneOf | None:
    """Return what a recipe's key is one of; None for a key of one kind only."""
    return next((given for given in field.metadata if isinstance(given, OneOf)), None)
