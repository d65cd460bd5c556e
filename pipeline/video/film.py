"""A film drawn in parts that depend on the film alone, so that any number of workers agree.

H, W: pixels of the upright film.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.arrays import Pixels
from pipeline.drawings.finish import Finish
from pipeline.video.motion import Motion, motion_between
from pipeline.video.reader import FilmError, FilmMetadata, Frame, read_frames
from pipeline.video.steady import WINDOW, Flicker, Steadier
from pipeline.video.writer import Encoding, FilmForm, write_part

Draw = Callable[[Iterable[Pixels]], Iterator[Pixels]]

# Frames of a part: ten seconds, so that little is lost with a worker, and the frames that each part
# draws beforehand are one in a hundred.
PART_FRAMES = 300


@dataclass(frozen=True)
class Part:
    """The frames with times in [start, stop), and from where on they are drawn to be steady.

    Attributes:
        number: from 0.
        warm: time of the first frame that is drawn.
        start: time of the first frame that is kept.
        stop: time of the next part's first; None for the last.
        frames: how many the packets promise.
    """

    number: int
    warm: int
    start: int
    stop: int | None
    frames: int


@dataclass(frozen=True)
class FilmStyle:
    """How a film is drawn.

    Attributes:
        form: what it becomes.
        finish: threshold, thickness and inversion of the lines.
        steady: drawings are averaged over `WINDOW` frames before, where the film is the same.
    """

    form: FilmForm = "drawing"
    finish: Finish = field(default_factory=Finish)
    steady: bool = False


@dataclass(frozen=True)
class PartReport:
    """What came of a part: its frames, and the sums of its flicker as drawn and as written."""

    frames: int
    drawn: Flicker
    written: Flicker


def plan_parts(metadata: FilmMetadata, part_frames: int = PART_FRAMES) -> list[Part]:
    """Divide a film into parts; a function of its packets alone."""
    times = metadata.times
    parts = []
    for number, first in enumerate(range(0, len(times), part_frames)):
        after = first + part_frames
        stop = times[after] if after < len(times) else None
        # The first frame is compared with the one before, which looks back a whole window, too.
        warm = times[max(0, first - WINDOW - 1)]
        parts.append(Part(number, warm, times[first], stop, min(part_frames, len(times) - first)))
    return parts


def draw_part(
    film: Path, part: Part, draw: Draw, style: FilmStyle, metadata: FilmMetadata, target: Path
) -> PartReport:
    """Draw the frames of one part into a file of its own, which appears whole.

    Args:
        film: the file.
        part: which frames.
        draw: uint8 (H, W, 3) -> uint8 (H, W) of the same size, for each in order.
        style: how.
        metadata: of the film.
        target: the file.

    Raises:
        FilmError: the film cannot be read, or not one frame of the part.
    """
    drawn, written = Flicker(), Flicker()
    frames = _drawn_frames(film, part, draw, style, drawn, written)
    encoding = Encoding(style.form, metadata.time_base, metadata.rate)
    count = write_part(target, frames, encoding)
    if not count:
        target.unlink(missing_ok=True)
        raise FilmError(f"{film}: no frame could be decoded after the first {part.start}")
    return PartReport(count, drawn, written)


def total_flicker(reports: Sequence[Flicker]) -> float:
    """Return the mean flicker of parts, in grey levels."""
    return Flicker(sum(f.total for f in reports), sum(f.frames for f in reports)).mean


def _drawn_frames(
    film: Path, part: Part, draw: Draw, style: FilmStyle, drawn: Flicker, written: Flicker
) -> Iterator[Frame]:
    waiting: deque[Frame] = deque()

    def pictures() -> Iterator[Pixels]:
        for frame in read_frames(film, part.warm, part.stop):
            waiting.append(frame)
            yield frame.pixels

    steadier = Steadier()
    before: tuple[Frame, Pixels, Pixels] | None = None
    for drawing in draw(pictures()):
        frame = waiting.popleft()
        motion: Motion | None = None
        if before is not None:
            motion = motion_between(before[0].pixels, frame.pixels)
        steady = steadier.steady(drawing, motion) if style.steady else drawing
        if before is not None and motion is not None and frame.time >= part.start:
            drawn.add(before[1], drawing, motion)
            written.add(before[2], steady, motion)
        before = (frame, drawing, steady)
        if frame.time >= part.start:
            yield Frame(_finished(steady, frame.pixels, style), frame.time)


def _finished(drawing: Pixels, picture: Pixels, style: FilmStyle) -> Pixels:
    if style.form == "alpha":
        return style.finish.alpha(drawing)
    grey = style.finish.grey(drawing)
    if style.form == "drawing":
        return grey
    ink = style.finish.alpha(drawing)
    opacity = ink[..., 1:].astype("uint16")
    laid = (picture * (255 - opacity) + ink[..., :1] * opacity + 127) // 255
    return laid.astype("uint8")
