"""`onesketch extract`: photographs in, drawings of the same size out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jobs.extract.drawings import drawing_path, find_to_draw, readable, refuse_unreadable
from jobs.runtime.devices import Machine
from pipeline.events import OnEvent
from pipeline.images.write import write_png
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import MODEL, ExtractorError
from training.oneshot.record import RECORD


@dataclass(frozen=True)
class ExtractOptions:
    """How the extractor draws: at which resolution, and in which number format it computes.

    Attributes:
        short_side_px: draw at this resolution, and bring the drawing back to the photograph's size;
            None: at the photograph's own.
        dtype: of the network.
    """

    short_side_px: int | None = None
    dtype: torch.dtype = torch.float32


AS_IT_IS = ExtractOptions()


def run_extract(
    model: Path,
    inputs: Sequence[str],
    out: Path,
    machine: Machine,
    on_event: OnEvent,
    options: ExtractOptions = AS_IT_IS,
) -> list[Path]:
    """Draw every photograph as out/NAME.png, uint8 (H, W), black on white; return the files.

    One unreadable image does not stop the others.

    Raises:
        ValueError: a drawing would replace a photograph or lie among them (nothing is loaded then);
            there is no such extractor; or an image could not be read, which is told after the last
            drawing.
    """
    photographs = find_to_draw(inputs, out, on_event)
    extractor = load_extractor(model, machine.device, options.dtype)
    written: list[Path] = []
    unreadable: list[ValueError] = []
    for name, picture in readable(photographs, unreadable):
        path = drawing_path(out, name)
        write_png(path, extractor.sketch(picture, options.short_side_px))
        written.append(path)
        done = len(written) + len(unreadable)
        on_event("extract.drawing", done=done, total=len(photographs), image=name)
    refuse_unreadable(unreadable, len(photographs))
    on_event("extract.drawings", images=len(written), out=str(out))
    return written


def load_extractor(folder: Path, device: str, dtype: torch.dtype) -> Extractor:
    """Load an extractor that computes in a number format.

    Raises:
        ExtractorError: the folder holds none.
        ValueError: the device cannot compute in the format.
    """
    if (folder / RECORD).is_file() and not (folder / MODEL).is_file():
        raise ExtractorError(
            f"{folder} holds a teacher, not an extractor: use `onesketch extract-by-teacher`, or "
            "give the folder that `onesketch distill` finished"
        )
    extractor = Extractor.load(folder, device, dtype)
    if dtype != torch.float32:
        _try(extractor)
    return extractor


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
