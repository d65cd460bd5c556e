"""`onesketch extract`: photographs in, drawings of the same size out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jobs.extract.drawings import (
    drawing_path,
    find_to_draw,
    readable,
    refuse_strangers,
    refuse_unreadable,
    write_failures,
)
from jobs.extract.record import DrawnRecord
from jobs.runtime.devices import Machine
from pipeline.arrays import Pixels
from pipeline.drawings.finish import Finish
from pipeline.events import OnEvent
from pipeline.images.find import Photograph
from pipeline.images.read import read_opacity
from pipeline.whole_file import write_bytes
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import MODEL, ExtractorError, read_config
from training.extraction.fastest import ProcessorExtractor, has_onnx
from training.extraction.picture_drawer import PictureDrawer
from training.oneshot.record import RECORD

# Of a picture that is drawn in strips, the least share that is worth an event.
_SHARE = 0.1


@dataclass(frozen=True)
class ExtractOptions:
    """How the extractor draws, and what becomes of its drawings.

    Attributes:
        short_side_px: draw at this resolution, and bring the drawing back to the photograph's size;
            None: at the photograph's own.
        dtype: of the network.
        batch: the most neighbours of one size that are drawn at once.
        finish: what is done with the drawings.
        again: draw those anew that are there.
    """

    short_side_px: int | None = None
    dtype: torch.dtype = torch.float32
    batch: int = 1
    finish: Finish = field(default_factory=Finish)
    again: bool = False

    def pins(self) -> dict[str, Any]:
        """Return what changes the drawings, as JSON."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {"short_side": self.short_side_px, "dtype": dtype, **asdict(self.finish)}


AS_IT_IS = ExtractOptions()


def run_extract(
    model: Path,
    inputs: Sequence[str],
    out: Path,
    machine: Machine,
    on_event: OnEvent,
    options: ExtractOptions = AS_IT_IS,
) -> list[Path]:
    """Draw every photograph as out/NAME.png (.svg), black on white; return the files.

    Those that are there are left as they are. One unreadable image does not stop the others.

    Raises:
        ValueError: a drawing would replace a photograph, or a file that is not from here, or lie
            among the photographs (nothing is loaded then); there is no such extractor; or an image
            could not be read, which is told after the last drawing.
    """
    suffix = options.finish.suffix
    photographs = find_to_draw(inputs, out, on_event, suffix)
    pins = {"model": _model_hash(model), **options.pins()}
    record = DrawnRecord.open(out, pins, options.again)
    files = {photo.name: drawing_path(out, photo.name, suffix) for photo in photographs}
    waiting = [photo for photo in photographs if not record.holds(photo, files[photo.name])]
    if not options.again:
        strangers = (files[photo.name] for photo in waiting if not record.made(photo))
        refuse_strangers(strangers, "give another --out, or --again to replace it")
    on_event("extract.ready", to_draw=len(waiting), there=len(photographs) - len(waiting))
    unreadable: list[ValueError] = []
    if waiting:
        extractor = _load_fastest(model, machine.device, options.dtype)
        record.begin()
        drawn = _draw(extractor, readable(waiting, unreadable, on_event), options, on_event)
        for done, (photo, drawing) in enumerate(drawn, 1):
            record.add(photo)
            opacity = read_opacity(photo.path) if options.finish.form == "alpha" else None
            write_bytes(files[photo.name], options.finish.encoded(drawing, opacity))
            done += len(unreadable)
            on_event("extract.drawing", done=done, total=len(waiting), image=photo.name)
    write_failures(out, unreadable)
    refuse_unreadable(unreadable, len(photographs))
    on_event("extract.drawings", images=len(photographs), out=str(out))
    return list(files.values())


def load_extractor(folder: Path, device: str, dtype: torch.dtype) -> Extractor:
    """Load an extractor that computes in a number format.

    Raises:
        ExtractorError: the folder holds none.
        ValueError: the device cannot compute in the format.
    """
    _refuse_teacher(folder)
    extractor = Extractor.load(folder, device, dtype)
    if dtype != torch.float32:
        _try(extractor)
    return extractor


def _load_fastest(folder: Path, device: str, dtype: torch.dtype) -> PictureDrawer:
    if device == "cpu" and dtype == torch.float32 and has_onnx(folder):
        return ProcessorExtractor(folder)
    return load_extractor(folder, device, dtype)


def _model_hash(folder: Path) -> str:
    _refuse_teacher(folder)
    return str(read_config(folder)["sha256"])


def _refuse_teacher(folder: Path) -> None:
    if (folder / RECORD).is_file() and not (folder / MODEL).is_file():
        raise ExtractorError(
            f"{folder} holds a teacher, not an extractor: use `onesketch extract-by-teacher`, or "
            "give the folder that `onesketch distill` finished"
        )


def _draw(
    extractor: PictureDrawer,
    photographs: Iterator[tuple[Photograph, Pixels]],
    options: ExtractOptions,
    on_event: OnEvent,
) -> Iterator[tuple[Photograph, Pixels]]:
    """Draw photographs, neighbours of one size together; those read wait in the order they came."""
    waiting: deque[Photograph] = deque()
    told = 0.0

    def pictures() -> Iterator[Pixels]:
        for photograph, picture in photographs:
            waiting.append(photograph)
            yield picture

    def tell(share: float) -> None:
        nonlocal told
        if share < told:
            told = 0.0  # the next picture
        if share < 1 and share - told >= _SHARE:
            told = share
            on_event("extract.part", image=waiting[0].name, share=round(share, 2))

    for drawing in extractor.sketches(pictures(), options.batch, options.short_side_px, tell):
        yield waiting.popleft(), drawing


def _try(extractor: Extractor) -> None:
    """Draw the smallest picture, to find out whether the device supports the format."""
    try:
        extractor.sketch(np.zeros((1, 1, 3), np.uint8))
    except RuntimeError as error:
        name = str(extractor.dtype).removeprefix("torch.")
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--dtype {name} does not work on {extractor.device} ({reason}): use float32"
        ) from error
