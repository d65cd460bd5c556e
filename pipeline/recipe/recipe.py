"""The recipe: one validated YAML file per style, the only input that the commands need.

Every default is the paper's (DiffSketch 3.1, 4, 5.1 and appendix A).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from pipeline.filters import ALLOWED, Filter, FilterError
from pipeline.recipe.diffsketch import DiffSketchTeach
from pipeline.recipe.fields import (
    PositiveInt,
    Rate,
    RecipeError,
    Section,
    Seed,
    allowed_in,
    resolve,
)
from pipeline.recipe.kinds import OneOf, one_of
from pipeline.recipe.sections import Example, Teach
from pipeline.recipe.workers import WorkerRange, worker_range

_WORKERS = "a number from 1 on, or a range such as 2..8"


class Sampling(Section):
    """DDIM sampling: number of steps T, guidance scale (1 = no guidance), images per batch."""

    steps: Annotated[int, Field(gt=0, le=1000)] = 50
    guidance: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 5.0
    batch: PositiveInt = 8


class Dataset(Section):
    """The generated dataset: how many pairs, how they are cut into shards, where they go."""

    samples: PositiveInt = 30_000
    shard_size: PositiveInt = 128
    seed: Seed = 0
    out: str = ""


class Distill(Section):
    """Training of the fast extractor from the dataset (DiffSketch 4.4, 5.1, appendix A).

    `where` is a filter on the index's columns (`pipeline.filters`); pairs for which it does not
    hold are left out, "" takes all. `workers` is a number, or MIN..MAX for a cluster that shrinks
    and grows.
    """

    student: str = "pix2pixhd"
    preset: Literal["paper", "small"] = "paper"
    epochs: PositiveInt = 10
    batch: PositiveInt = 4
    workers: int | str = 2
    learning_rate: Rate = 2e-4
    true_pair_every: PositiveInt = 16
    seed: Seed = 0
    perceptual: str = "embedded"
    where: str = ""

    @property
    def worker_range(self) -> WorkerRange:
        """The least and the largest number of workers."""
        return worker_range(str(self.workers), "distill.workers")

    @field_validator("workers")
    @classmethod
    def _check_workers(cls, workers: int | str) -> int | str:
        try:
            asked = worker_range(str(workers))
        except ValueError as error:
            raise RecipeError("distill.workers", workers, _WORKERS) from error
        if asked.most is None:
            raise RecipeError("distill.workers", workers, _WORKERS)
        return workers

    @field_validator("where")
    @classmethod
    def _check_where(cls, text: str) -> str:
        # Now, not after the hours that generation takes.
        try:
            Filter(text)
        except FilterError as error:
            raise RecipeError("distill.where", text, ALLOWED) from error
        return text


class Recipe(Section):
    """One style from drawing to extractor.

    `drawing_path` and `prompts_path` are absolute (given relative to the recipe file); `run` is
    relative to the working directory; `dataset.out` is filled in as `<run>/dataset`.
    """

    style: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    backbone: Annotated[str, Field(min_length=1)] = "embedded"
    run: str = ""
    example: Example
    sampler: Sampling = Sampling()
    teach: Teach = DiffSketchTeach()
    dataset: Dataset = Dataset()
    distill: Distill = Distill()

    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="after")
    def _fill_and_check(self) -> Self:
        if not self.run:
            object.__setattr__(self, "run", f"runs/{self.style}")
        if not self.dataset.out:
            filled = self.dataset.model_copy(update={"out": f"{self.run}/dataset"})
            object.__setattr__(self, "dataset", filled)
        self.teach.check_steps(self.sampler.steps)
        return self

    @property
    def run_path(self) -> Path:
        """Folder of this style's artefacts, as given (relative to the working directory)."""
        return Path(self.run)

    @property
    def drawing_path(self) -> Path:
        """Absolute path of the drawing."""
        return self._folder / self.example.drawing

    @property
    def prompts_path(self) -> Path | None:
        """Absolute path of the prompt list for the condition prior; None: the backbone's own."""
        if self.teach.prompts is None:
            return None
        return self._folder / self.teach.prompts

    def resolved(self) -> dict[str, Any]:
        """Every key with its value as JSON-able data, with no absolute path of this machine."""
        return _without_folders(resolve(self))


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: the file is missing or is not a YAML mapping, a key is unknown, a value is not
            allowed.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError("", "no file", "the path of an existing recipe.yaml", path) from error
    except IsADirectoryError as error:
        raise RecipeError("", "a folder", "the path of an existing recipe.yaml", path) from error
    except UnicodeDecodeError as error:
        raise RecipeError("", "other bytes", "a text file in UTF-8", path) from error
    except yaml.YAMLError as error:
        # The parser is given a text, and would tell people that it is called so.
        where = " ".join(str(error).replace(' in "<unicode string>",', " at").split())
        raise RecipeError("", "something else", f"valid YAML ({where})", path) from error
    try:
        return parse_recipe(data, folder=path.parent)
    except RecipeError as error:
        raise RecipeError(error.key, error.value, error.allowed, path) from error


def parse_recipe(data: object, folder: Path) -> Recipe:
    """Check a recipe's data; relative files in it are looked for in `folder`.

    Raises:
        RecipeError: as `load_recipe`, without the file's name.
    """
    if not isinstance(data, dict):
        kind = "an empty file" if data is None else "a list" if isinstance(data, list) else "a text"
        raise RecipeError("", kind, "a mapping that starts with 'style: ...'")
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise _first_error(error) from error
    # Absolute at once: a recipe travels to processes in other working directories.
    recipe._folder = folder.absolute()
    return recipe


def _first_error(error: ValidationError) -> RecipeError:
    # An unknown key goes first: it is the likeliest cause of a "missing" one.
    details = error.errors()
    first = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    if isinstance(first.get("ctx", {}).get("error"), RecipeError):
        return first["ctx"]["error"]
    keys, section = _locate(first["loc"])
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        return RecipeError(key, first["input"], _known_keys(section, keys[-1]))
    if first["type"] == "missing":
        return RecipeError(key, None, "a value: this key is required")
    if first["type"] == "union_tag_invalid":
        choice = one_of(Recipe.model_fields[keys[0]]) or OneOf({}, lambda _: "")
        kinds = ", ".join(choice.kinds)
        return RecipeError(f"{key}.{choice.key}", first["ctx"]["tag"], f"one of {kinds}")
    return RecipeError(key, first["input"], _allowed(first, section.model_fields.get(keys[-1])))


def _locate(loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
    """Follow pydantic's place of a mistake: the recipe's keys up to it, and the section it is in.

    Names of kinds and of union members are skipped: they are pydantic's, not the recipe's.
    """
    keys: list[str] = []
    section: type[BaseModel] = Recipe
    kinds: Mapping[str, type[Section]] = {}
    for part in loc:
        if part in kinds:
            section, kinds = kinds[str(part)], {}
            continue
        field = section.model_fields.get(str(part))
        # What no section knows is a mistaken key if it comes last, and a union's member otherwise.
        if field is None and keys and part is not loc[-1]:
            continue
        if field is None and keys and keys[-1] in section.model_fields:
            continue
        keys.append(str(part))
        if field is not None:
            choice, inner = one_of(field), field.annotation
            kinds = choice.kinds if choice else {}
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                section = inner
    return keys, section


def _allowed(detail: Any, field: FieldInfo | None) -> str:
    if detail["type"] == "invalid_key":
        return "names as keys"
    if detail["type"] == "model_type":
        return "a mapping of keys to values"
    if field is not None and (text := allowed_in(field)):
        return text
    message = detail["msg"]
    for prefix in ("Input should be a valid ", "Input should be ", "Value error, "):
        message = message.removeprefix(prefix)
    return message


def _known_keys(section: type[BaseModel], mistaken: str) -> str:
    known = list(section.model_fields)
    close = difflib.get_close_matches(mistaken, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"one of the keys {', '.join(known)}{hint}"


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return Path(value).name
    return value
