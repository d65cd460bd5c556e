"""What a job takes along: its recipe, the recipe's drawing and prompts, and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from pipeline import canonical
from pipeline.recipe.recipe import Recipe
from pipeline.render import readable_size

# Ray's server takes 100 MiB, and the package around the files takes some of it.
MOST_BYTES = 90 * 2**20
_LARGEST_SHOWN = 3
# Ray leaves out folders of these names.
_LEFT_OUT = frozenset({".git", ".venv", "venv", "__pycache__"})


class UploadError(ValueError):
    """What a recipe needs cannot be sent; the message says what and what to do."""


@dataclass(frozen=True)
class UploadFile:
    """A file that goes along.

    Attributes:
        name: in the job's working directory.
        path: on this machine.
        content: where it differs from what is on this machine; None: it does not.
    """

    name: str
    path: Path
    content: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Its size as it is sent."""
        return self.path.stat().st_size if self.content is None else len(self.content)

    @property
    def sha256(self) -> str:
        """The hash of what is sent."""
        if self.content is None:
            return canonical.sha256_of_file(self.path)
        return canonical.sha256(self.content)


@dataclass(frozen=True)
class Upload:
    """The files that go along, the recipe first."""

    files: tuple[UploadFile, ...]

    @property
    def recipe(self) -> str:
        """The recipe's name in the job's working directory."""
        return self.files[0].name

    @property
    def size_bytes(self) -> int:
        """The size of all."""
        return sum(file.size_bytes for file in self.files)

    @contextmanager
    def staged(self) -> Iterator[str]:
        """Lend a folder with the files and nothing else, to be uploaded from."""
        with tempfile.TemporaryDirectory(prefix="onesketch-submit-") as folder:
            for file in self.files:
                target = Path(folder) / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if file.content is None:
                    shutil.copyfile(file.path, target)
                else:
                    target.write_bytes(file.content)
            yield folder


def plan_upload(path: Path, recipe: Recipe, needs_drawing: bool) -> Upload:
    """Find the files that a recipe needs on the cluster.

    They keep their places towards each other, so that relative names in the recipe hold. Files that
    the recipe names by absolute paths go beside it, and the names in the recipe follow.

    Args:
        path: of the recipe's file.
        needs_drawing: whether the drawing must be there; without, it goes along if it is.

    Raises:
        UploadError: a file is missing, cannot be sent, or all are too large.
    """
    path = path.absolute()
    named = {"drawing": recipe.example.drawing, "prompts": recipe.teach.prompts or ""}
    sources = {what: name for what, name in named.items() if name and not _is_far(name)}
    found: dict[str, Path] = {}
    for what, name in sources.items():
        file = Path(os.path.normpath(path.parent / name))
        if file.is_file():
            found[what] = file
        elif what != "drawing" or needs_drawing:
            raise UploadError(
                f"the {what} {file} is missing: "
                + ("draw it over source/image.png, " if what == "drawing" else "put it there, ")
                + f"or correct {_key(what)} in {path.name}"
            )
    moved = {what: file for what, file in found.items() if Path(sources[what]).is_absolute()}
    kept = [file for what, file in found.items() if what not in moved]
    root = Path(os.path.commonpath([path.parent, *(file.parent for file in kept)]))
    place = PurePosixPath(path.relative_to(root).as_posix()).parent
    files = [
        UploadFile((place / path.name).as_posix(), path, _with_names_beside(path, moved)),
        *(UploadFile(file.relative_to(root).as_posix(), file) for file in kept),
        *(UploadFile((place / file.name).as_posix(), file) for file in moved.values()),
    ]
    upload = Upload(tuple(files))
    _check(upload)
    return upload


def check_models(recipe: Recipe) -> None:
    """Refuse models that lie in relative folders of this machine, which no node has.

    Raises:
        UploadError: there is one.
    """
    models = {
        "backbone": recipe.backbone,
        "teach.clip": recipe.teach.clip,
        "teach.perceptual": recipe.teach.perceptual,
        "distill.perceptual": recipe.distill.perceptual,
    }
    for key, location in models.items():
        file = location.partition(":")[2] or location
        if not _is_far(location) and not Path(file).is_absolute() and Path(file).exists():
            raise UploadError(
                f"{key}: {location} lies in a folder of this machine, and models are not uploaded: "
                "give an s3:// address, or the absolute path at which every node has it"
            )


def _is_far(name: str) -> bool:
    return name.startswith("s3:")


def _key(what: str) -> str:
    return {"drawing": "example.drawing", "prompts": "teach.prompts"}[what]


def _with_names_beside(path: Path, moved: dict[str, Path]) -> bytes | None:
    """Return a recipe's text with bare names for the files that went beside it; None: as it is."""
    if not moved:
        return None
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    for what, file in moved.items():
        section, key = _key(what).split(".")
        data[section][key] = file.name
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()


def _check(upload: Upload) -> None:
    names = [file.name for file in upload.files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UploadError(
            f"two files would be {twice[0]} in the job's folder: rename one of them, or give them "
            "in the recipe by relative paths"
        )
    hidden = [name for name in names if _LEFT_OUT & set(name.split("/"))]
    if hidden:
        raise UploadError(
            f"{hidden[0]} lies in a folder that Ray does not upload "
            f"({', '.join(sorted(_LEFT_OUT))}): move it elsewhere"
        )
    if upload.size_bytes > MOST_BYTES:
        largest = sorted(upload.files, key=lambda file: file.size_bytes, reverse=True)
        raise UploadError(
            f"the upload has {readable_size(upload.size_bytes)}, and at most "
            f"{readable_size(MOST_BYTES)} can be sent; the largest files: "
            + _listed(largest[:_LARGEST_SHOWN])
            + "; put the drawing into the store and give its s3:// address, or make it smaller"
        )


def _listed(files: Sequence[UploadFile]) -> str:
    return ", ".join(f"{file.path} ({readable_size(file.size_bytes)})" for file in files)
