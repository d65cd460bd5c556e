"""Pictures with their true drawings, for evaluation: read from two folders, matched by name.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.arrays import Pixels
from pipeline.images.find import SUFFIXES
from pipeline.images.read import UNREADABLE, grey_on_white, load_image, read_photograph

DRAWING_MODES = frozenset({"L", "1", "RGB"})
NAMES_SHOWN = 5


class PairingError(ValueError):
    """Pictures and true drawings that cannot be compared as they are."""


@dataclass(frozen=True)
class EvaluationPair:
    """One picture with its true drawing, read when asked for, so that folders may be large.

    Attributes:
        name: the picture's, different from all others' of an evaluation.
        read: gives the picture, uint8 (H, W, 3), and its truth, uint8 (H, W).
    """

    name: str
    read: Callable[[], tuple[Pixels, Pixels]]


def folder_pairs(pictures: Path, drawings: Path) -> list[EvaluationPair]:
    """Pair pictures with drawings of the same name (suffixes may differ).

    Modes and sizes are checked on reading.

    Raises:
        PairingError: a folder is missing or empty, two of its files share a name, or a file lacks
            its partner.
    """
    left, right = _by_name(pictures), _by_name(drawings)
    lonely = [
        f"{name} only in {folder}"
        for folder, own, other in ((pictures, left, right), (drawings, right, left))
        for name in sorted(own.keys() - other)
    ]
    if lonely:
        raise PairingError(
            f"{len(lonely)} files lack a partner of the same name: "
            f"{_shortened(lonely)}. Add the missing ones or remove these"
        )

    def reader(name: str) -> Callable[[], tuple[Pixels, Pixels]]:
        def read() -> tuple[Pixels, Pixels]:
            picture, drawing = read_picture(left[name]), read_true_drawing(right[name])
            if picture.shape[:2] != drawing.shape:
                raise PairingError(
                    f"{right[name]}: expected the picture's size {_size(picture)}, got "
                    f"{_size(drawing)}. Export the drawing at that size; it is not resized here"
                )
            return picture, drawing

        return read

    return [EvaluationPair(name, reader(name)) for name in left]


def read_picture(path: Path) -> Pixels:
    """Read a picture as uint8 (H, W, 3), as photographs are read to be drawn.

    Raises:
        PairingError: it cannot be read.
    """
    try:
        return read_photograph(path)
    except ValueError as error:
        raise PairingError(str(error)) from error


def read_true_drawing(path: Path) -> Pixels:
    """Read a drawing as uint8 (H, W), 255 = paper.

    Raises:
        PairingError: it cannot be read, or has colour or transparency.
    """
    try:
        image = load_image(path)
    except UNREADABLE as error:
        raise PairingError(f"{path} cannot be read as a picture: {error}") from error
    if image.mode not in DRAWING_MODES:
        raise PairingError(
            f"{path}: expected mode {' or '.join(sorted(DRAWING_MODES))}, got "
            f"{image.mode}. Flatten it onto white and save it again"
        )
    if image.mode == "RGB":
        array = np.asarray(image)
        if (array != array[..., :1]).any():
            raise PairingError(f"{path}: expected a grey drawing, found colours. Save it in greys")
    return grey_on_white(image)


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise PairingError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise PairingError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            raise PairingError(
                f"{folder}: {named[path.stem].name} and {path.name} share a name, "
                "which must tell pictures apart. Rename one"
            )
        named[path.stem] = path
    return named


def _shortened(items: Sequence[str]) -> str:
    rest = len(items) - NAMES_SHOWN
    return ", ".join(items[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _size(array: Pixels) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
