"""Films frame by frame: upright, in RGB, each with the time at which it is shown.

H, W: pixels of the upright film. Times are whole multiples of the stream's time base.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Pixels

FILM_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


class FilmError(ValueError):
    """A film that cannot be read or written; says which, and why."""


@dataclass(frozen=True)
class FilmMetadata:
    """What a film's packets tell, without decoding.

    Attributes:
        times: of all frames, in the order in which they are shown.
        time_base: seconds of one.
        rate: frames a second on average.
        codec: of the pictures.
        audio: codecs of the audio tracks.
    """

    times: tuple[int, ...]
    time_base: Fraction
    rate: Fraction
    codec: str
    audio: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the last."""
        return float((self.times[-1] - self.times[0]) * self.time_base)


@dataclass(frozen=True)
class Frame:
    """One picture of a film, uint8 (H, W, 3), upright, and its time."""

    pixels: Pixels
    time: int


def video_library() -> Any:
    """Import PyAV; ValueError where its extra is not installed."""
    try:
        import av
    except ImportError as error:
        raise ValueError("films need the extra `video`: pip install 'onesketch[video]'") from error
    return av


def read_metadata(path: Path) -> FilmMetadata:
    """Read what a film's packets tell.

    Raises:
        FilmError: it is no film that can be read.
    """
    with opened(path) as (container, stream):
        times = sorted(
            time
            for packet in container.demux(stream)
            if packet.size and (time := _time_of(packet)) is not None
        )
        if not times:
            raise FilmError(f"{path}: its video stream is empty")
        return FilmMetadata(
            tuple(times),
            Fraction(stream.time_base),
            Fraction(stream.average_rate or stream.guessed_rate or 25),
            stream.codec_context.name,
            tuple(track.codec_context.name for track in container.streams.audio),
        )


def read_frames(path: Path, start: int, stop: int | None) -> Iterator[Frame]:
    """Yield the frames with times in [start, stop), in the order in which they are shown.

    A film that was cut off ends where its last whole frame does.

    Raises:
        FilmError: it is no film that can be read.
    """
    av = video_library()
    for from_start in (False, True):
        with opened(path) as (container, stream):
            if not from_start:
                # To the key frame before it.
                container.seek(start, stream=stream, backward=True)
            before = from_start
            try:
                for picture in container.decode(stream):
                    time = _time_of(picture)
                    if time is None or time < start:
                        before = True
                        continue
                    if time > start and not before:
                        break  # The container sought too far: from its beginning, then.
                    before = True
                    if stop is not None and time >= stop:
                        return
                    yield Frame(_upright(picture), time)
                else:
                    if before:
                        return
            except av.error.InvalidDataError:
                return


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a film; give its container and its video stream.

    Raises:
        FilmError: there is no such file, it is no film, or it has no pictures.
    """
    av = video_library()
    if not path.is_file():
        raise FilmError(f"{path}: no such film")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise FilmError(f"{path}: no video stream in this file")
            stream = container.streams.video[0]
            # Threads change nothing in what is decoded.
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FilmError(f"{path}: cannot be read as a film: {reason}") from error


def _time_of(item: Any) -> int | None:
    """Return a packet's or frame's time; some containers store only the order of decoding."""
    return item.dts if item.pts is None else item.pts


def _upright(picture: Any) -> Pixels:
    pixels = picture.to_ndarray(format="rgb24")
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns))
