"""A recipe as YAML in which every key explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from pipeline.recipe.fields import Section
from pipeline.recipe.recipe import Recipe

_INDENT = "  "
# Where the comments begin; a longer key pushes its own to the right.
_COMMENT_COLUMN = 34


def commented_yaml(recipe: Recipe) -> str:
    """Write every key of a recipe with its value and meaning, and with its default if that differs.

    The defaults are DiffSketch's. Places that follow from other keys stand as comments: they still
    follow when those change.
    """
    return "\n".join(_lines(recipe, "", _following(recipe))) + "\n"


def differing_keys(recipe: Recipe) -> list[str]:
    """Name the keys that stand at other values than their defaults, such as `teach.iterations`."""
    following = _following(recipe)
    return [key for key, differs in _compare(recipe, "") if differs and key not in following]


def _following(recipe: Recipe) -> set[str]:
    follow = {"run": recipe.run == f"runs/{recipe.style}"}
    follow["dataset.out"] = recipe.dataset.out == f"{recipe.run}/dataset"
    return {key for key, follows in follow.items() if follows}


def _lines(section: Section, prefix: str, following: set[str]) -> Iterator[str]:
    indent = _INDENT * prefix.count(".")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield ""
            yield from _head(f"{indent}{name}:", field.description or "")
            yield from _lines(value, f"{prefix}{name}.", following)
            continue
        # Lists as one line.
        plain = yaml.safe_dump(_plain(value), default_flow_style=True, width=1000)
        shown = plain.removesuffix("\n").removesuffix("\n...")
        mark = "# " if f"{prefix}{name}" in following else ""
        yield from _head(f"{indent}{mark}{name}: {shown}", _comment(field, value))


def _head(text: str, comment: str) -> Iterator[str]:
    yield f"{text:<{_COMMENT_COLUMN - 1}} # {comment}" if comment else text


def _comment(field: FieldInfo, value: object) -> str:
    description = field.description or ""
    if field.is_required() or value == field.default or field.default in ("", None):
        return description
    return f"{description} Default: {_plain(field.default)}."


def _compare(section: Section, prefix: str) -> Iterator[tuple[str, bool]]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _compare(value, f"{prefix}{name}.")
        elif not field.is_required():
            yield f"{prefix}{name}", value != field.default


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
