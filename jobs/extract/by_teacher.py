"""`onesketch extract-by-teacher`: photographs through the teacher itself, by DDIM inversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from jobs.extract.drawings import (
    drawing_path,
    find_to_draw,
    readable,
    refuse_strangers,
    refuse_unreadable,
)
from jobs.runtime import weights
from jobs.runtime.devices import Machine
from pipeline.arrays import Pixels
from pipeline.canonical import sha256
from pipeline.diffusion.inversion import FIXED_POINT, ORDINARY
from pipeline.events import OnEvent
from pipeline.images.letterbox import frame, unframe
from pipeline.images.write import write_png
from pipeline.seeds import generator
from pipeline.systems.registry import load_drawer
from pipeline.teachers.composed import DRAW_STREAM
from pipeline.teachers.drawer import Drawer, DrawOptions
from pipeline.teachers.teacher import TeacherFiles
from pipeline.whole_file import write_json
from training.extraction.extractor_folder import MODEL
from training.oneshot.record import RECORD, taught_teacher

Item = TypeVar("Item")

INVERSION = "inversion.json"
ITERATIONS = {"fixed-point": FIXED_POINT, "ordinary": ORDINARY}


def run_extract_by_teacher(
    teacher_extractor: TeacherExtractor, inputs: Sequence[str], out: Path, on_event: OnEvent
) -> list[Path]:
    """Draw every photograph as out/NAME.png and write out/inversion.json; return the drawings.

    One unreadable image does not stop the others.

    Raises:
        ValueError: a drawing would replace a photograph or lie among them; or an image could not be
            read, which is told after the last drawing.
    """
    photographs = find_to_draw(inputs, out, on_event)
    if not (out / INVERSION).is_file():
        drawings = (drawing_path(out, photograph.name) for photograph in photographs)
        refuse_strangers(drawings, "give another --out")
    unreadable: list[ValueError] = []
    fidelities: dict[str, Mapping[str, float]] = {}
    for group in groups(readable(photographs, unreadable, on_event), teacher_extractor.batch):
        drawn = teacher_extractor.draw([picture for _, picture in group])
        for (photograph, _), result in zip(group, drawn, strict=True):
            name = photograph.name
            write_png(drawing_path(out, name), result.drawing)
            fidelities[name] = result.fidelity
            on_event("extract.drawing", done=len(fidelities), total=len(photographs), image=name,
                     **_rounded(result.fidelity))  # fmt: skip
    if fidelities:
        write_json(out / INVERSION, {name: dict(found) for name, found in fidelities.items()})
    refuse_unreadable(unreadable, len(photographs))
    on_event("extract.drawings", images=len(fidelities), out=str(out), **_means(fidelities))
    return [drawing_path(out, name) for name in fidelities]


@dataclass(frozen=True)
class InversionOptions:
    """How the teacher draws photographs: what they show, and how their noise is found.

    An empty prompt says nothing about them, as guidance's unconditional branch does.
    """

    prompt: str = ""
    inversion: str = "fixed-point"

    def __post_init__(self) -> None:
        if self.inversion not in ITERATIONS:
            raise ValueError(
                f"unknown inversion {self.inversion!r}: use one of {', '.join(ITERATIONS)}"
            )


@dataclass(frozen=True)
class DrawnPhotograph:
    """A photograph's drawing, uint8 (H, W) of its size, and what was lost on the way, by name."""

    drawing: Pixels
    fidelity: Mapping[str, float]


class TeacherExtractor:
    """A taught system that draws photographs of any size, in the square that its drawer takes."""

    def __init__(self, drawer: Drawer) -> None:
        self.drawer = drawer

    @property
    def batch(self) -> int:
        """How many photographs are drawn together."""
        return self.drawer.batch

    def draw(self, photographs: Sequence[Pixels]) -> list[DrawnPhotograph]:
        """Draw photographs uint8 (H, W, 3) of any sizes as one batch."""
        frames = [frame(photograph, self.drawer.image_size) for photograph in photographs]
        # By what they show: neighbours and order must not matter, and they have no other address.
        shown = [int(sha256(framed.picture.tobytes()), 16) for framed in frames]
        random = [generator(0, number, DRAW_STREAM) for number in shown]
        drawn = self.drawer.draw(np.stack([framed.picture for framed in frames]), random)
        return [
            DrawnPhotograph(unframe(framed, sketch), fidelity)
            for framed, sketch, fidelity in zip(frames, drawn.sketches, drawn.columns, strict=True)
        ]


def load_teacher_extractor(
    folder: Path, backbone: str, options: InversionOptions, machine: Machine
) -> TeacherExtractor:
    """Load the teacher of a folder (<run>/teacher) on its backbone, to draw photographs.

    Raises:
        ValueError: the folder holds no teacher, or one that was taught on another backbone.
    """
    if (folder / MODEL).is_file() and not (folder / RECORD).is_file():
        raise ValueError(
            f"{folder} holds an extractor, not a teacher: use `onesketch extract`, or give the "
            "folder that `onesketch teach` finished"
        )
    files = TeacherFiles(
        folder, {"backbone": weights.locate_backbone(backbone)}, machine.device, machine.dtype
    )
    drawing = DrawOptions(options.prompt, ITERATIONS[options.inversion])
    return TeacherExtractor(load_drawer(taught_teacher(folder), files, drawing))


def groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield items in lists of `size`, the last one maybe shorter."""
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group


def _rounded(fidelity: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in fidelity.items()}


def _means(fidelities: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    rows = list(fidelities.values())
    return _rounded({name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
