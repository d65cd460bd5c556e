"""Which drawings of a folder are there already: by the same model, in the same way, of this file.

`extract.jsonl` beside the drawings: a line with what all have in common, then a line for each
drawing before it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.images.find import Photograph
from pipeline.whole_file import write_text

RECORD = "extract.jsonl"


class DrawnRecord:
    """The record of one folder."""

    def __init__(
        self, out: Path, pins: Mapping[str, Any], drawn: dict[str, tuple[int, int]]
    ) -> None:
        self._path = out / RECORD
        self._pins = dict(pins)
        self._drawn = drawn

    @classmethod
    def open(cls, out: Path, pins: Mapping[str, Any], again: bool) -> DrawnRecord:
        """Read a folder's record; without one, or `again`, nothing is drawn yet.

        Args:
            out: the folder of the drawings.
            pins: the model's hash and the options: what changes them, makes other drawings.
            again: forget what was drawn.

        Raises:
            ValueError: the drawings there were made in another way; says what differs.
        """
        path = out / RECORD
        if again or not path.is_file():
            return cls(out, pins, {})
        lines = path.read_text(encoding="utf-8").splitlines()
        # A line may have been cut off by a full disk; its drawing was not begun then.
        values = [value for value in map(_parsed, lines) if value is not None]
        before = values[0] if values else {}
        if before != dict(pins):
            raise ValueError(
                f"--out {out} {made_otherwise(before, pins)}: give another --out, or --again to "
                "draw all anew"
            )
        return cls(
            out, pins, {line["name"]: (line["bytes"], line["mtime_ns"]) for line in values[1:]}
        )

    def holds(self, photograph: Photograph, drawing: Path) -> bool:
        """Tell whether a drawing is there, and its photograph is as it was."""
        return self._drawn.get(photograph.name) == _state(photograph.path) and drawing.is_file()

    def made(self, photograph: Photograph) -> bool:
        """Tell whether a drawing of that name, if there is one, is from here."""
        return photograph.name in self._drawn

    def begin(self) -> None:
        """Write the record anew if it is not there, or is of drawings that do not count."""
        if not self._drawn:
            write_text(self._path, json.dumps(self._pins) + "\n")

    def add(self, photograph: Photograph) -> None:
        """Note that a drawing will be written: after a crash it is known to be from here."""
        size, mtime_ns = _state(photograph.path)
        line = {"name": photograph.name, "bytes": size, "mtime_ns": mtime_ns}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def made_otherwise(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in which way the drawings of a place were made otherwise."""
    differs = sorted(
        f"{key}: {before.get(key)} there, {now.get(key)} now"
        for key in before.keys() | now.keys()
        if before.get(key) != now.get(key)
    )
    return f"holds drawings that were made in another way ({'; '.join(differs)})"


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
