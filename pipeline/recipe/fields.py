"""What the sections of a recipe are made of: types of values, keys with a history, the mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

# Strict: `yes` is no 1, and 2.0 no number of pictures.
PositiveInt = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]

_SINCE = "since"
_ALLOWED = "allowed"


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names file, key, value and what is allowed.

    Where it is about the file as a whole, `key` is "" and `value` describes what was found.
    """

    def __init__(self, key: str, value: object, allowed: str, file: str | Path = "") -> None:
        self.key, self.value, self.allowed = key, value, allowed
        places = [str(file) if file else "", f"recipe key '{key}'" if key else ""]
        place = ": ".join(filter(None, places)) or "recipe"
        shown = "nothing" if value is None else repr(value) if key else value
        super().__init__(f"{place}: got {shown}; expected {allowed}")

    def in_file(self, file: str | Path) -> RecipeError:
        """Return the same mistake with the file's name."""
        return RecipeError(self.key, self.value, self.allowed, file)


class RecipeMistakesError(RecipeError):
    """Several mistakes in one recipe."""

    def __init__(self, errors: Sequence[RecipeError], file: str | Path = "") -> None:
        self.errors = errors
        numbered = [f"({number}) {error}" for number, error in enumerate(errors, start=1)]
        ValueError.__init__(
            self, f"{file or 'recipe'}: {len(errors)} mistakes: {'; '.join(numbered)}"
        )

    def in_file(self, file: str | Path) -> RecipeError:
        """Return the same mistakes with the file's name."""
        return RecipeMistakesError(self.errors, file)


class Section(BaseModel):
    """A part of a recipe: frozen, and without any key that it does not know."""

    # The text below each key becomes its description, which `onesketch init` writes beside it.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def added(default: Any, since: str) -> Any:
    """Declare a key that earlier versions did not have.

    Datasets begun before it can be resumed: while the key stands at its default, the resolved
    recipe, and with it the plan, leaves it out.

    Args:
        since: the version of onesketch that has it first.
    """
    return Field(default=default, json_schema_extra={_SINCE: since})


def described(default: Any, allowed: str) -> Any:
    """Declare a key whose mistakes are answered with a text of its own, such as "a or b"."""
    return Field(default=default, json_schema_extra={_ALLOWED: allowed})


def allowed_in(field: FieldInfo) -> str | None:
    """Return the text of a key that was `described`."""
    extra = field.json_schema_extra
    return str(extra[_ALLOWED]) if isinstance(extra, dict) and _ALLOWED in extra else None


def resolve(section: Section) -> dict[str, Any]:
    """Return every key of a section with its value as JSON-able data.

    Keys that were `added` are left out while they stand at their defaults.
    """
    resolved: dict[str, Any] = {}
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value, extra = getattr(section, name), field.json_schema_extra
        if isinstance(extra, dict) and _SINCE in extra and value == field.default:
            continue
        resolved[name] = resolve(value) if isinstance(value, Section) else plain[name]
    return resolved
