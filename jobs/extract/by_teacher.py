"""`onesketch extract --teacher`: photographs through the teacher itself, by DDIM inversion."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from jobs.extract.letterbox import frame, unframe
from jobs.extract.photographs import Photograph, find_photographs, read_photograph
from jobs.runtime import weights
from jobs.runtime.devices import Machine
from jobs.runtime.files import write_png
from pipeline.diffusion.inversion import FIXED_POINT, ORDINARY
from pipeline.diffusion.sampling import encode_prompts
from pipeline.events import OnEvent
from pipeline.gsketch.streaming import InvertedDrawing, draw_while_inverting
from pipeline.pixels import image_from_uint8, sketch_to_uint8
from pipeline.teachers.diffsketch import DiffSketchTeacher
from pipeline.whole_file import write_json

Item = TypeVar("Item")

INVERSION = "inversion.json"
ITERATIONS = {"fixed-point": FIXED_POINT, "ordinary": ORDINARY}


@dataclass(frozen=True)
class InversionOptions:
    """How the teacher draws photographs: what they show, and how their noise is found.

    An empty prompt says nothing about them, as the unconditional half of guidance does.
    """

    prompt: str = ""
    inversion: str = "fixed-point"

    def __post_init__(self) -> None:
        if self.inversion not in ITERATIONS:
            raise ValueError(
                f"unknown inversion {self.inversion!r}: use one of {', '.join(ITERATIONS)}"
            )


@dataclass(frozen=True)
class Fidelity:
    """What was lost before the teacher could draw: PSNR in dB of images, RMSE of latents.

    vae_psnr_db: the photograph against its VAE reconstruction; round_trip_*: what inverting and
    sampling again adds to that.
    """

    vae_psnr_db: float
    round_trip_psnr_db: float
    round_trip_latent_rmse: float


@dataclass(frozen=True)
class DrawnPhotograph:
    """A photograph's drawing, uint8 (H, W) of its size, and what was lost on the way."""

    drawing: np.ndarray
    fidelity: Fidelity


class TeacherExtractor:
    """A taught teacher that draws photographs."""

    def __init__(self, teacher: DiffSketchTeacher, options: InversionOptions) -> None:
        self.teacher = teacher
        self.iterations = ITERATIONS[options.inversion]
        self.condition = encode_prompts(teacher.backbone, [options.prompt])

    @property
    def batch(self) -> int:
        """How many photographs are drawn together."""
        return self.teacher.conditions.sampling.batch

    def draw(self, photographs: Sequence[np.ndarray]) -> list[DrawnPhotograph]:
        """Draw photographs uint8 (H, W, 3) of any sizes as one batch."""
        frames = [frame(photograph, self.teacher.image_size) for photograph in photographs]
        images = torch.cat([image_from_uint8(framed.picture) for framed in frames])
        drawn = self._inverted(images)
        drawings = sketch_to_uint8(drawn.sketches)
        return [
            DrawnPhotograph(unframe(framed, drawing), fidelity)
            for framed, drawing, fidelity in zip(frames, drawings, _fidelities(drawn), strict=True)
        ]

    def _inverted(self, images: Tensor) -> InvertedDrawing:
        teacher = self.teacher
        return draw_while_inverting(
            teacher.backbone,
            teacher.sketcher,
            images.to(teacher.backbone.device, teacher.backbone.dtype),
            self.condition.expand(len(images), -1, -1),
            teacher.conditions.sampling,
            self.iterations,
        )


def load_teacher_extractor(
    folder: Path, backbone: str, options: InversionOptions, machine: Machine
) -> TeacherExtractor:
    """Load the teacher of a folder (<run>/teacher) on its backbone, to draw photographs."""
    location = weights.locate_backbone(backbone)
    teacher = DiffSketchTeacher.load(folder, location, machine.device, machine.dtype)
    return TeacherExtractor(teacher, options)


def run_extract_by_teacher(
    teacher_extractor: TeacherExtractor, inputs: Sequence[str], out: Path, on_event: OnEvent
) -> list[Path]:
    """Draw every photograph as out/NAME.png and write out/inversion.json; gives the drawings.

    One unreadable image does not stop the others: ValueError names it after the last drawing.
    """
    photographs = find_photographs(inputs)
    unreadable: list[ValueError] = []
    fidelities: dict[str, Fidelity] = {}
    for group in groups(_readable(photographs, unreadable), teacher_extractor.batch):
        drawn = teacher_extractor.draw([picture for _, picture in group])
        for (name, _), result in zip(group, drawn, strict=True):
            write_png(out / f"{name}.png", result.drawing)
            fidelities[name] = result.fidelity
            on_event("extract.drawing", done=len(fidelities), total=len(photographs), image=name,
                     **_rounded(result.fidelity))  # fmt: skip
    if fidelities:
        write_json(out / INVERSION, {name: vars(each) for name, each in fidelities.items()})
    if unreadable:
        raise ValueError(
            f"{len(unreadable)} of {len(photographs)} images not drawn; the first: {unreadable[0]}"
        )
    on_event("extract.drawings", images=len(fidelities), out=str(out), **_means(fidelities))
    return [out / f"{name}.png" for name in fidelities]


def groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield items in lists of `size`, the last one maybe shorter."""
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group


def _readable(
    photographs: Sequence[Photograph], unreadable: list[ValueError]
) -> Iterator[tuple[str, np.ndarray]]:
    for photograph in photographs:
        try:
            yield photograph.name, read_photograph(photograph.path)
        except ValueError as error:
            unreadable.append(error)


def _fidelities(drawn: InvertedDrawing) -> list[Fidelity]:
    columns = (drawn.vae_psnr_db, drawn.round_trip.psnr_db, drawn.round_trip.latent_rmse)
    return [Fidelity(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _rounded(fidelity: Fidelity) -> dict[str, float]:
    return {name: round(value, 4) for name, value in vars(fidelity).items()}


def _means(fidelities: dict[str, Fidelity]) -> dict[str, float]:
    rows = [list(vars(each).values()) for each in fidelities.values()]
    return _rounded(Fidelity(*np.mean(rows, axis=0).tolist()))
