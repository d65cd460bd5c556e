"""Arguments and options that several commands take, so that they are worded the same everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from pipeline.storage.node_cache import NodeCache


def place(text: str) -> str:
    """Return a local folder as it was typed, or an address of an object store.

    Raises:
        typer.BadParameter: nothing was typed, or another kind of address.
    """
    from pipeline.storage.address import is_address

    return text if is_address(text) else str(local_path(text))


def local_path(text: str | Path) -> Path:
    """Return the path of a local file or folder as it was typed.

    Raises:
        typer.BadParameter: nothing was typed, or an address.
    """
    if not str(text):
        raise typer.BadParameter("it is empty, as an unset variable is: name a file or folder")
    if "://" in str(text):
        raise typer.BadParameter(f"{text} is an address; expected a local file or folder")
    return Path(text).expanduser()


RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Recipe file, or the name of a shipped style.")
]
Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="PLACE",
        help="Folder or s3://bucket/prefix for the artefacts.  [default: the recipe's]",
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        parser=local_path,
        metavar="FOLDER",
        help="For what comes from s3://, on each node.  [default: ONESKETCH_CACHE, or the user's]",
    ),
]
CacheGib = Annotated[
    float | None,
    typer.Option(
        "--cache-gib",
        min=0,
        help="Most that shards, and again models, may take there.  [default: no limit]",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Dtype = Annotated[
    str, typer.Option("--dtype", help="Backbone's numbers: auto, float32, float16, bfloat16.")
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Images, folders, or the word `bundled`."),
]
Drawings = Annotated[
    Path,
    typer.Option(
        "--out",
        parser=local_path,
        metavar="FOLDER",
        help="For the drawings, outside the folders that hold the photographs.",
    ),
]
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Folder or address of an extractor (<run>/extractor)."),
]
ShortSide = Annotated[
    int | None,
    typer.Option("--short-side", min=16, help="Draw at this many pixels, then enlarge."),
]
WorkerCount = Annotated[
    str,
    typer.Option("--workers", metavar="N|MIN..MAX", help="Ray actors; auto: by the cluster."),
]
GpusPerWorker = Annotated[
    float,
    typer.Option("--gpus-per-worker", min=0.01, help="Also a fraction; where there are GPUs."),
]
Grace = Annotated[
    float,
    typer.Option("--grace", min=0, help="Seconds that running shards may take after SIGTERM."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead, for programs.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Ray workers; 0: by the machine.")]
SingleWriter = Annotated[
    bool, typer.Option("--single-writer", help="Vouch that no other run writes there.")
]
Price = Annotated[
    float, typer.Option("--price", min=0, help="Money per worker and hour (GPU or CPU).")
]
StoreAddress = Annotated[
    str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix of the dataset.")
]


def node_cache(folder: Path | None, gib: float | None) -> NodeCache:
    """Return the cache that `--cache` and `--cache-gib` describe."""
    from pipeline.storage.node_cache import NodeCache

    return NodeCache(folder and folder.absolute(), None if gib is None else int(gib * 2**30))


@dataclass(frozen=True)
class NodeOptions:
    """What of this machine is used."""

    device: Device = "auto"
    cache: CacheFolder = None
    cache_gib: CacheGib = None


def unfold_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of those of its parameters that are dataclasses.

    typer reads a command's options off its parameters. With this a command with many options takes
    them as one object, whose fields carry the `typer.Option` of each.
    """
    hints = get_type_hints(command, include_extras=True)
    objects: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    @wraps(command)
    def unfolded(**given: Any) -> None:
        for name, kind in objects.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in objects:
            parameters += _parameters_of_fields(objects[name])
        else:
            # By name only: so those without a default may follow others.
            parameters.append(
                parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
            )
    unfolded.__dict__["__signature__"] = inspect.Signature(parameters)
    unfolded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return unfolded


def _parameters_of_fields(kind: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=hints[field.name],
        )
