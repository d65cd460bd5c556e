"""Drawing all photographs of a command, and where the drawings go.

Never over a photograph, nor among those that will be drawn the next time.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from pipeline.images.find import SUFFIXES, Found, Photograph, search
from pipeline.images.read import read_photograph

# An event is one line, however many kinds of files there are.
_MOST_SUFFIXES = 8


def find_to_draw(inputs: Sequence[str], out: Path, on_event: OnEvent) -> list[Photograph]:
    """List the photographs of the inputs, whose drawings may be written into `out`.

    The event `extract.skipped` says how many files of the inputs' folders were left out.

    Raises:
        ValueError: as `check_drawings`.
    """
    found = check_drawings(inputs, out)
    if found.skipped:
        suffixes = sorted(set(found.others))
        shown = " ".join(suffixes[:_MOST_SUFFIXES]) + " ..." * (len(suffixes) > _MOST_SUFFIXES)
        on_event("extract.skipped", files=found.skipped, hidden=found.hidden,
                 closed_folders=found.closed, suffixes=shown)  # fmt: skip
    return found.photographs


def check_drawings(inputs: Sequence[str], out: Path) -> Found:
    """Search the inputs, and see that their drawings can be written into `out`.

    Raises:
        ValueError: an input cannot be used (see `search`); `out` is a file; `out` is a folder that
            is drawn, or lies in one; or a drawing would replace a photograph.
    """
    found = search(inputs)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder for the drawings")
    if not out.exists() and out.suffix.lower() in SUFFIXES:
        raise ValueError(
            f"--out {out} is to be a folder, in which each drawing gets its photograph's name: "
            f"give one such as {out.with_suffix('')}"
        )
    folders = {_place(folder): folder for folder in found.folders}
    _refuse_among(folders, out, f"--out {out}")
    photographs = {_place(photograph.path): photograph.path for photograph in found.photographs}
    for photograph in found.photographs:
        drawing = drawing_path(out, photograph.name)
        _refuse_among(folders, drawing, f"the drawing {drawing}")
        _refuse_replacing(photographs, drawing)
    return found


def readable(
    photographs: Sequence[Photograph], unreadable: list[ValueError]
) -> Iterator[tuple[str, Pixels]]:
    """Yield the name and the pixels of each photograph, uint8 (H, W, 3), that can be read.

    Args:
        unreadable: gets the errors of the others.
    """
    for photograph in photographs:
        try:
            yield photograph.name, read_photograph(photograph.path)
        except ValueError as error:
            unreadable.append(error)


def refuse_unreadable(unreadable: Sequence[ValueError], count: int) -> None:
    """Raise ValueError with the first error where some of `count` photographs were not read."""
    if unreadable:
        share = f"{len(unreadable)} of {count} images not drawn; the first: " if count > 1 else ""
        raise ValueError(f"{share}{unreadable[0]}")


def drawing_path(out: Path, name: str) -> Path:
    """Return the file of a photograph's drawing."""
    return out / f"{name}.png"


def check_drawing_file(photograph: Path, drawing: Path) -> None:
    """Raise ValueError for a drawing that would replace its photograph, or is not named PNG."""
    if drawing.suffix.lower() != ".png":
        raise ValueError(f"--out {drawing}: drawings are PNG files; expected a name in .png")
    _refuse_replacing({_place(photograph): photograph}, drawing)


def _refuse_replacing(photographs: Mapping[str, Path], drawing: Path) -> None:
    """Raise ValueError for a drawing whose file is one of the photographs, by their places."""
    replaced = photographs.get(_place(drawing))
    if replaced is not None:
        raise ValueError(
            f"the drawing {drawing} would replace the photograph {replaced}: give another --out"
        )


def _refuse_among(folders: Mapping[str, Path], path: Path, what: str) -> None:
    """Raise ValueError for a path that is one of the folders, or lies in one."""
    place = Path(_place(path))
    for part in (place, *place.parents):
        folder = folders.get(str(part))
        if folder is not None:
            lies = "is" if part == place else "lies in"
            raise ValueError(
                f"{what} {lies} {folder}, whose photographs are drawn: drawings there would be "
                "drawn themselves the next time. Give an --out outside that folder"
            )


def _place(path: Path) -> str:
    # Many disks make no difference between A and a, nor between two ways to spell an accent.
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()
