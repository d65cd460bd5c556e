"""Photographs to draw: files, folders, and those in scikit-image's wheel."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from pipeline.images.read import HEIF_SUFFIXES

BUNDLED = "bundled"
# Everyday photographs that need no download (scikit-image fetches many of its others).
BUNDLED_FILES = {
    "astronaut": "astronaut.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
SUFFIXES = HEIF_SUFFIXES | {
    ".avif",
    ".bmp",
    ".gif",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
}


@dataclass(frozen=True)
class Photograph:
    """A picture still on disk: the name of its drawing (no suffix, folders kept), its file."""

    name: str
    path: Path


@dataclass
class Found:
    """What the inputs hold: photographs, the folders that were searched, and what was left out.

    Folders are real paths. Left out are hidden files and folders (a name that begins with a dot),
    folders that may not be read, and files of other suffixes.
    """

    photographs: list[Photograph] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    hidden: int = 0
    closed: int = 0
    others: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """How many files were left out; a hidden or closed folder counts as one."""
        return self.hidden + self.closed + len(self.others)


def find_photographs(inputs: Sequence[str]) -> list[Photograph]:
    """List the photographs of files, folders and the word `bundled`.

    Raises:
        ValueError: an input does not exist, a folder has no images, or two photographs' drawings
            would have the same name.
    """
    return search(inputs).photographs


def photographs_in(folder: Path) -> list[Photograph]:
    """List the photographs of a folder and all below it; their names may be the same.

    Raises:
        ValueError: there is no such folder, or it has no images.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found = Found()
    _search_whole_folder(folder, found)
    return found.photographs


def search(inputs: Sequence[str]) -> Found:
    """Find the photographs of files, folders and the word `bundled`, folders with all below them.

    Raises:
        ValueError: as `find_photographs`.
    """
    found = Found()
    for text in inputs:
        _search_input(text, found)
    refuse_twins(found.photographs)
    return found


def bundled_photographs() -> list[Photograph]:
    """List scikit-image's photographs that are in the installed package."""
    folder = Path(str(resources.files("skimage") / "data"))
    return [Photograph(name, folder / file) for name, file in BUNDLED_FILES.items()]


def refuse_twins(photographs: Sequence[Photograph]) -> None:
    """Raise ValueError when two photographs have the same name."""
    seen: dict[str, Path] = {}
    for photograph in photographs:
        key = unicodedata.normalize("NFC", photograph.name).casefold()
        if key in seen:
            raise ValueError(
                f"{photograph.path} and {seen[key]} would both be drawn as "
                f"{photograph.name}.png (many disks do not tell A from a): rename one, or extract "
                "them into two folders"
            )
        seen[key] = photograph.path


def _search_input(text: str, found: Found) -> None:
    if not text:
        raise ValueError(
            "an input is empty, as an unset variable is: name an image, a folder, or `bundled`"
        )
    if "://" in text:
        raise ValueError(f"{text} is an address: photographs are read from local files and folders")
    path = Path(text)
    if path.is_dir():
        _search_whole_folder(path, found)
    elif path.is_file():
        found.photographs.append(Photograph(path.stem, path))
    elif text == BUNDLED:
        found.photographs += bundled_photographs()
    else:
        raise ValueError(f"{path}: no such image or folder (or the word `{BUNDLED}`)")


def _search_whole_folder(folder: Path, found: Found) -> None:
    before = len(found.photographs)
    _search_folder(folder, folder, (), found)
    if len(found.photographs) == before:
        raise ValueError(f"{folder}: no images in this folder ({' '.join(sorted(SUFFIXES))})")


def _search_folder(root: Path, folder: Path, above: tuple[str, ...], found: Found) -> None:
    """Search a folder, through links too; `above` are the real paths of those it lies in."""
    real = os.path.realpath(folder)
    if real in above:
        return  # A link back to where it lies would recurse for ever.
    try:
        paths = sorted(folder.iterdir())
    except PermissionError:
        if folder == root:
            raise
        found.closed += 1
        return
    found.folders.append(Path(real))
    for path in paths:
        if path.name.startswith("."):
            found.hidden += 1
        elif path.is_dir():
            _search_folder(root, path, (*above, real), found)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            name = path.relative_to(root).with_suffix("").as_posix()
            found.photographs.append(Photograph(name, path))
        else:
            found.others.append(path.suffix.lower() or path.name)
