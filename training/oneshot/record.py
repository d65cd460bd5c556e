"""teach.json: the record that makes a taught teacher's folder complete, and says what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.recipe.sections import DEFAULT_TEACHER
from pipeline.whole_file import write_json

RECORD = "teach.json"
# What a taught teacher makes of its own example. The name since the first version.
EXAMPLE_SKETCH = "known.png"


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a finished training, which everything else in the folder precedes."""
    write_json(folder / RECORD, dict(record))


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the record of a finished training; None while it is not finished."""
    path = folder / RECORD
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def taught_teacher(folder: Path) -> str:
    """Name the system that was taught in a folder; the first versions knew one only."""
    return str((read_record(folder) or {}).get("teacher", DEFAULT_TEACHER))


def check_same_teacher(folder: Path, teacher: str) -> None:
    """Raise ValueError where another system was taught in a folder."""
    if (folder / RECORD).is_file() and (taught := taught_teacher(folder)) != teacher:
        raise ValueError(
            f"{folder} holds a teacher {taught!r}, and the recipe asks for {teacher!r}: use "
            "another run folder, restore the recipe, or teach anew by `onesketch teach --again`"
        )


def taught_clip(folder: Path, files_sha256: str | None = None) -> str | None:
    """Return the hash of the weights of the CLIP that a teacher was taught with.

    Args:
        files_sha256: of the files at hand: None is returned where the teacher had others.
    """
    record = read_record(folder) or {}
    if files_sha256 not in (None, record.get("clip_files_sha256")):
        return None
    return record.get("clip_sha256")
