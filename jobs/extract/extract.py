"""`onesketch extract`: photographs in, drawings of the same size out."""

from collections.abc import Sequence
from pathlib import Path

from jobs.extract.photographs import find_photographs, read_photograph
from jobs.runtime.devices import Machine
from jobs.runtime.files import write_png
from pipeline.events import OnEvent
from training.distillation.extractor import Extractor


def run_extract(
    model: Path,
    inputs: Sequence[str],
    out: Path,
    machine: Machine,
    on_event: OnEvent,
    short_side_px: int | None = None,
) -> list[Path]:
    """Draw every photograph as out/NAME.png, uint8 (H, W), black on white; gives the files.

    short_side_px: draw at this resolution, and bring the drawing back to the photograph's size.
    One unreadable image does not stop the others: ValueError names it after the last drawing.
    """
    photographs = find_photographs(inputs)
    extractor = Extractor.load(model, machine.device)
    written: list[Path] = []
    unreadable: list[ValueError] = []
    for done, photograph in enumerate(photographs, start=1):
        path = out / f"{photograph.name}.png"
        try:
            picture = read_photograph(photograph.path)
        except ValueError as error:
            unreadable.append(error)
            continue
        write_png(path, extractor.sketch(picture, short_side_px))
        written.append(path)
        on_event("extract.drawing", done=done, total=len(photographs), image=photograph.name)
    if unreadable:
        count = f"{len(unreadable)} of {len(photographs)} images not drawn; the first: "
        raise ValueError(f"{count if len(photographs) > 1 else ''}{unreadable[0]}")
    on_event("extract.drawings", images=len(written), out=str(out))
    return written
