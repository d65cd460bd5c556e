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
    RecipeMistakesError,
    Section,
    Seed,
    added,
    allowed_in,
    resolve,
)
from pipeline.recipe.kinds import OneOf, one_of
from pipeline.recipe.sections import Example, Teach
from pipeline.recipe.workers import WorkerRange, worker_range
from pipeline.recipe.yaml_scalars import RecipeLoader

_WORKERS = "a number from 1 on, or a range such as 2..8"


class Sampling(Section):
    """DDIM sampling: number of steps T, guidance scale (1 = no guidance), images per batch."""

    steps: Annotated[int, Field(gt=0, le=1000, strict=True)] = 50
    """DDIM steps T, from noise to image."""
    guidance: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 5.0
    """Scale of classifier-free guidance; 1 is none, at half the time."""
    batch: PositiveInt = 8
    """Images sampled at a time; memory grows with it."""


class Dataset(Section):
    """The generated dataset: how many pairs, how they are cut into shards, where they go."""

    samples: PositiveInt = 30_000
    """Pairs of image and sketch."""
    shard_size: PositiveInt = 128
    """Pairs a tar file holds."""
    seed: Seed = 0
    """Of the pairs' noise and conditions."""
    out: str = ""
    """Folder or s3://bucket/prefix; empty: dataset/ in the run."""
    license: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.-]*)?$")] = added("", since="0.2.0")
    """Of the pairs, as the Hugging Face hub names it, such as cc-by-4.0; empty: not stated."""


class Distill(Section):
    """Training of the fast extractor from the dataset (DiffSketch 4.4, 5.1, appendix A).

    `where` is a filter on the index's columns (`pipeline.filters`); pairs for which it does not
    hold are left out, "" takes all. `workers` is a number, or MIN..MAX for a cluster that shrinks
    and grows.
    """

    student: str = "pix2pixhd"
    """The network that is to be fast."""
    preset: Literal["paper", "medium", "small"] = "paper"
    """Its size: paper, or small for processors without a GPU."""
    epochs: PositiveInt = 10
    """Passes over the dataset."""
    batch: PositiveInt = 4
    """Pairs of an iteration, over all workers."""
    workers: int | str = 2
    """Ray Train ranks: a number, or MIN..MAX where nodes come and go."""
    learning_rate: Rate = 2e-4
    """Of Adam, constant at first, then falling to 0."""
    true_pair_every: PositiveInt = 16
    """Each so many iterations the drawing itself is learned from."""
    seed: Seed = 0
    """Of weights, order and flips."""
    perceptual: str = "embedded"
    """Feature network of the loss: embedded, or vgg19:FILE with the real VGG-19."""
    where: str = ""
    """Filter on the index's columns, such as "confidence > 0.4"; empty: all pairs."""
    also: tuple[str, ...] = added((), since="0.2.0")
    """Folders or s3://... of more finished datasets of this style, read together with the run's."""

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
    """Name of the style: small letters, digits and hyphens."""
    backbone: Annotated[str, Field(min_length=1)] = "embedded"
    """Diffusion model: embedded, a diffusers folder, s3://..., or a hub id in the local cache."""
    run: str = ""
    """Folder or s3://bucket/prefix of all artefacts; empty: runs/STYLE."""
    example: Example
    """The image to draw over, and the drawing."""
    sampler: Sampling = Sampling()
    """How images are sampled."""
    teach: Teach = DiffSketchTeach()
    """How the style is learned from the one drawing."""
    dataset: Dataset = Dataset()
    """The pairs that the teacher makes."""
    distill: Distill = Distill()
    """How the extractor learns from them."""

    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="after")
    def _fill_and_check(self) -> Self:
        run = at_home(self.run) or f"runs/{self.style}"
        object.__setattr__(self, "run", run)
        if self.dataset.out.startswith("~"):
            at = self.dataset.model_copy(update={"out": at_home(self.dataset.out)})
            object.__setattr__(self, "dataset", at)
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
        return self._folder / at_home(self.example.drawing)

    @property
    def prompts_path(self) -> Path | None:
        """Absolute path of the prompt list for the condition prior; None: the backbone's own."""
        if self.teach.prompts is None:
            return None
        return self._folder / at_home(self.teach.prompts)

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
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=RecipeLoader)
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
        raise error.in_file(path) from error


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
        errors = _all_errors(error)
        raise (errors[0] if len(errors) == 1 else RecipeMistakesError(errors)) from error
    # Absolute at once: a recipe travels to processes in other working directories.
    recipe._folder = folder.absolute()
    return recipe


def _all_errors(error: ValidationError) -> list[RecipeError]:
    """Return one mistake a key: of a key with several kinds of values pydantic lists each."""
    # An unknown key goes first: it is the likeliest cause of a "missing" one.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    by_key: dict[str, RecipeError] = {}
    for detail in details:
        mistake = _mistake(detail)
        by_key.setdefault(mistake.key, mistake)
    return list(by_key.values())


def _mistake(detail: Any) -> RecipeError:
    if isinstance(found := detail.get("ctx", {}).get("error"), RecipeError):
        return found
    keys, section = _locate(detail["loc"])
    key = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        return RecipeError(key, detail["input"], _known_keys(section, keys[-1]))
    if detail["type"] == "missing":
        return RecipeError(key, None, "a value: this key is required")
    if detail["type"] == "union_tag_invalid":
        choice = one_of(Recipe.model_fields[keys[0]]) or OneOf({}, lambda _: "")
        kinds = ", ".join(choice.kinds)
        return RecipeError(f"{key}.{choice.key}", detail["ctx"]["tag"], f"one of {kinds}")
    return RecipeError(key, detail["input"], _allowed(detail, section.model_fields.get(keys[-1])))


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


def at_home(path: str) -> str:
    """Return a path with `~` as the home folder that it stands for; no shell did so in a file."""
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return Path(value).name
    return value
