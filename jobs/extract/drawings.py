"""Drawing all photographs of a command, and where the drawings go.

Never over a photograph, nor among those that will be drawn the next time.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from pipeline.images.find import SUFFIXES, Found, Photograph, search
from pipeline.images.read import count_frames, read_photograph
from pipeline.whole_file import write_text

# Why photographs were not drawn, a line each.
FAILED = "extract-failed.txt"
# An event is one line, however many kinds of files there are.
_MOST_SUFFIXES = 8


def find_to_draw(
    inputs: Sequence[str], out: Path, on_event: OnEvent, suffix: str = ".png"
) -> list[Photograph]:
    """List the photographs of the inputs, whose drawings may be written into `out`.

    The event `extract.skipped` says how many files of the inputs' folders were left out.

    Raises:
        ValueError: as `check_drawings`.
    """
    found = check_drawings(inputs, out, suffix)
    if found.skipped:
        suffixes = sorted(set(found.others))
        shown = " ".join(suffixes[:_MOST_SUFFIXES]) + " ..." * (len(suffixes) > _MOST_SUFFIXES)
        on_event("extract.skipped", files=found.skipped, hidden=found.hidden,
                 closed_folders=found.closed, suffixes=shown)  # fmt: skip
    return found.photographs


def check_drawings(inputs: Sequence[str], out: Path, suffix: str = ".png") -> Found:
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
        drawing = drawing_path(out, photograph.name, suffix)
        _refuse_among(folders, drawing, f"the drawing {drawing}")
        _refuse_replacing(photographs, drawing)
    return found


def refuse_strangers(drawings: Iterable[Path], remedy: str) -> None:
    """Raise ValueError where a file is in the place of a drawing that was not made yet."""
    strangers = [path for path in drawings if os.path.lexists(path)]
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise ValueError(
            f"{strangers[0]}{more} would be replaced, and no record tells that it was drawn by "
            f"this command: {remedy}"
        )


def readable(
    photographs: Sequence[Photograph], unreadable: list[ValueError], on_event: OnEvent
) -> Iterator[tuple[Photograph, Pixels]]:
    """Yield each photograph that can be read, with its pixels, uint8 (H, W, 3).

    Args:
        photographs: the files.
        unreadable: gets the errors of the others.
        on_event: is told where only the first of several frames is drawn.
    """
    for photograph in photographs:
        try:
            picture = read_photograph(photograph.path)
        except ValueError as error:
            unreadable.append(error)
            continue
        frames = count_frames(photograph.path)
        if frames > 1:
            on_event("extract.first_frame", image=photograph.name, frames=frames)
        yield photograph, picture


def write_failures(out: Path, unreadable: Sequence[ValueError]) -> None:
    """List in a file why photographs were not drawn; where all were, there is no such file."""
    path = out / FAILED
    if unreadable:
        write_text(path, "".join(f"{error}\n" for error in unreadable))
    else:
        path.unlink(missing_ok=True)


def refuse_unreadable(unreadable: Sequence[ValueError], count: int) -> None:
    """Raise ValueError with the first error where some of `count` photographs were not read."""
    if unreadable:
        share = f"{len(unreadable)} of {count} images not drawn; the first: " if count > 1 else ""
        raise ValueError(f"{share}{unreadable[0]}")


def drawing_path(out: Path, name: str, suffix: str = ".png") -> Path:
    """Return the file of a photograph's drawing."""
    return out / f"{name}{suffix}"


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
