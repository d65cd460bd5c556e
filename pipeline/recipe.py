"""The recipe: one validated YAML file per style, the only input that the commands need.

Every default is the paper's (method.md sections 1 to 6; DiffSketch sections 4 and 5.1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.filters import ALLOWED, Filter, FilterError

PositiveInt = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names file, key, value and what is allowed.

    Where it is about the file as a whole, `key` is "" and `value` says in words what came.
    """

    def __init__(self, key: str, value: object, allowed: str, file: str | Path = "") -> None:
        self.key, self.value, self.allowed = key, value, allowed
        places = [str(file) if file else "", f"recipe key '{key}'" if key else ""]
        place = ": ".join(filter(None, places)) or "recipe"
        shown = "nothing" if value is None else repr(value) if key else value
        super().__init__(f"{place}: got {shown}; expected {allowed}")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Example(_Section):
    """The one example: what was generated (prompt, seed) and the drawing made over it."""

    prompt: Annotated[str, Field(min_length=1)]
    seed: Seed
    drawing: str


class Sampling(_Section):
    """DDIM sampling: number of steps T, guidance scale (1 = no guidance), images per batch."""

    steps: Annotated[int, Field(gt=0, le=1000)] = 50
    guidance: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 5.0
    batch: PositiveInt = 8

    @property
    def branches(self) -> int:
        """UNet evaluations per step: 2 (uncond, cond) with guidance, 1 without."""
        return 2 if self.guidance > 1 else 1


class LossWeights(_Section):
    """The lambdas of equations 3 and 4 (section 5.1)."""

    across: Weight = 1.0
    within: Weight = 1.0
    l1: Weight = 30.0
    lpips: Weight = 15.0
    clip: Weight = 30.0


class Teach(_Section):
    """One-shot training of G_sketch (method.md section 4) and its ablation switches."""

    teacher: str = "diffsketch"
    iterations: PositiveInt = 1200
    diffusion_duration: PositiveInt = 1000
    timesteps: Literal["representative", "equal"] | tuple[Annotated[int, Field(ge=0)], ...] = (
        "representative"
    )
    prompts: str | None = None
    learning_rate: Rate = 1e-4
    seed: Seed = 0
    clip: str = "embedded"
    perceptual: str = "embedded"
    vae_features: bool = True
    weights: LossWeights = LossWeights()
    reconstruction: Literal["l1", "l2"] = "l1"
    cdst: bool = True


class Dataset(_Section):
    """The generated dataset: how many pairs, how they are cut into shards, where they go."""

    samples: PositiveInt = 30_000
    shard_size: PositiveInt = 128
    seed: Seed = 0
    out: str = ""


class Distill(_Section):
    """Training of the fast extractor from the dataset (method.md section 6).

    `where` is a filter on the index's columns (`pipeline.filters`); pairs for which it does not
    hold are left out, "" takes all.
    """

    student: str = "pix2pixhd"
    preset: Literal["paper", "small"] = "paper"
    epochs: PositiveInt = 10
    batch: PositiveInt = 4
    workers: PositiveInt = 2
    learning_rate: Rate = 2e-4
    true_pair_every: PositiveInt = 16
    seed: Seed = 0
    perceptual: str = "embedded"
    where: str = ""

    @field_validator("where")
    @classmethod
    def _check_where(cls, text: str) -> str:
        # Now, not after the hours that generation takes.
        try:
            Filter(text)
        except FilterError as error:
            raise RecipeError("distill.where", text, ALLOWED) from error
        return text


class Recipe(_Section):
    """One style from drawing to extractor.

    `drawing_path` and `prompts_path` are absolute (given relative to the recipe file); `run` is
    relative to the working directory; `dataset.out` is filled in as `<run>/dataset`.
    """

    style: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    backbone: Annotated[str, Field(min_length=1)] = "embedded"
    run: str = ""
    example: Example
    sampler: Sampling = Sampling()
    teach: Teach = Teach()
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
        chosen = self.teach.timesteps
        if not isinstance(chosen, str):
            _check_timesteps(chosen, self.sampler.steps)
        return self

    @property
    def run_path(self) -> Path:
        """Folder of this style's artefacts, as given (relative to the working directory)."""
        return Path(self.run)

    @property
    def drawing_path(self) -> Path:
        """Absolute path of the drawing."""
        return (self._folder / self.example.drawing).absolute()

    @property
    def prompts_path(self) -> Path | None:
        """Absolute path of the prompt list for the condition prior; None: the backbone's own."""
        if self.teach.prompts is None:
            return None
        return (self._folder / self.teach.prompts).absolute()

    def resolved(self) -> dict[str, Any]:
        """Every key with its value as JSON-able data, with no absolute path of this machine."""
        return _without_folders(self.model_dump(mode="json"))


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: the file is missing or is no YAML mapping, a key is unknown, a value is not
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
    recipe._folder = folder
    return recipe


def _check_timesteps(chosen: Sequence[int], steps: int) -> None:
    allowed = f"distinct step indices from 0 (the last step) to {steps - 1}, for {steps} steps"
    if not chosen or len(set(chosen)) != len(chosen) or max(chosen) >= steps:
        raise RecipeError("teach.timesteps", list(chosen), allowed)


def _first_error(error: ValidationError) -> RecipeError:
    # An unknown key goes first: it is the likeliest cause of a "missing" one.
    details = error.errors()
    first = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    if isinstance(first.get("ctx", {}).get("error"), RecipeError):
        return first["ctx"]["error"]
    names = [part for part in first["loc"] if isinstance(part, str) and part in _ALL_KEYS]
    key = ".".join(names) or ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        key = ".".join(map(str, first["loc"]))
        return RecipeError(key, first["input"], _known_keys(first["loc"]))
    if first["type"] == "missing":
        key = ".".join(map(str, first["loc"]))
        return RecipeError(key, None, "a value: this key is required")
    return RecipeError(key, first["input"], _allowed(first))


def _allowed(detail: Any) -> str:
    if detail["type"] == "invalid_key":
        return "names as keys"
    message = detail["msg"]
    for prefix in ("Input should be a valid ", "Input should be ", "Value error, "):
        message = message.removeprefix(prefix)
    if detail["loc"][:2] == ("teach", "timesteps"):
        return "'representative', 'equal' or a list of step indices (0 = the last step)"
    return message


def _known_keys(loc: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Recipe
    for part in loc[:-1]:
        section = section.model_fields[str(part)].annotation  # type: ignore[assignment]
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
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


def _keys(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation)


_ALL_KEYS = frozenset(_keys(Recipe))
