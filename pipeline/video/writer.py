"""Drawings as films, with the times of the film that was drawn; and parts of films joined.

Frames have no reference to later ones and one thread encodes them: equal frames give equal bytes,
and parts can be joined by copying. x264, in PyAV's wheel, is under the GPL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from pipeline.arrays import Pixels
from pipeline.video.reader import FilmError, FilmMetadata, Frame, opened, video_library
from pipeline.whole_file import whole_file

FilmForm: TypeAlias = Literal["drawing", "over", "alpha"]

# Visually lossless for line art, and small.
_X264 = {"crf": "16", "preset": "medium", "x264-params": "scenecut=0:bframes=0:threads=1"}
_KEY_EVERY = 250  # frames
_BT709 = 1  # of colours, by Rec. 709
# What carries opacity and every editor reads: ProRes 4444, whose opacity is without loss.
_PRORES_4444 = {"profile": "4"}
_MP4_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus"})
SUFFIXES: dict[FilmForm, tuple[str, ...]] = {
    "drawing": (".mp4", ".mkv", ".mov"),
    "over": (".mp4", ".mkv", ".mov"),
    "alpha": (".mov",),
}


@dataclass(frozen=True)
class Encoding:
    """How frames become a film.

    Attributes:
        form: "drawing": lines on paper; "over": ink over the film's own frames; "alpha": ink over
            nothing.
        time_base: seconds of one step of time.
        rate: frames a second on average, which players show.
    """

    form: FilmForm
    time_base: Fraction
    rate: Fraction


def check_form(form: str, path: Path) -> None:
    """Refuse an unknown form, and a file's name that does not fit it, with ValueError."""
    if form not in get_args(FilmForm):
        raise ValueError(f"form: expected one of {', '.join(get_args(FilmForm))}, got {form}")
    fitting = SUFFIXES[form]  # type: ignore[index]
    if path.suffix.lower() not in fitting:
        raise ValueError(f"{path}: a film of the form {form} is named *{' or *'.join(fitting)}")


def write_part(path: Path, frames: Iterable[Frame], encoding: Encoding) -> int:
    """Encode frames into a file that appears whole; return how many there were.

    Args:
        path: the file.
        frames: uint8 (H, W) lines on paper, (H, W, 3) in colour, or (H, W, 2) grey and opacity.
        encoding: how.

    Raises:
        FilmError: the frames cannot be encoded.
    """
    av = video_library()
    count = 0
    stream: Any = None
    with _output(path) as container:
        for frame in frames:
            count += 1
            if stream is None:
                stream = _add_stream(container, frame.pixels, encoding)
            picture = _picture(av, frame.pixels, stream.pix_fmt)
            picture.pts, picture.time_base = frame.time, encoding.time_base
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode())
    return count


def join(path: Path, parts: Sequence[Path], source: Path, metadata: FilmMetadata) -> int:
    """Join parts by copying their packets, with the audio of the film that was drawn.

    Args:
        path: the new film.
        parts: in their order.
        source: the film that was drawn.
        metadata: of that film.

    Returns:
        How many frames it has.

    Raises:
        FilmError: this kind of file cannot hold the film's audio.
    """
    if path.suffix.lower() != ".mkv" and set(metadata.audio) - _MP4_AUDIO:
        # FFmpeg itself says: invalid argument.
        raise FilmError(
            f"{path}: a {path.suffix} file cannot hold audio as {', '.join(metadata.audio)}: give "
            "a name that ends in .mkv"
        )
    count = 0
    with _output(path) as container, opened(source) as (film, _):
        with opened(parts[0]) as (_, first):
            video = container.add_stream_from_template(first)
        tracks = {
            track.index: container.add_stream_from_template(track) for track in film.streams.audio
        }
        container.metadata.update(film.metadata)
        audio = _audio(film, tracks)
        waiting = next(audio, None)
        for packet in _packets(parts):
            # In the order of time, so that nothing waits for the end of the film.
            while waiting is not None and _seconds(waiting[0]) <= _seconds(packet):
                container.mux(_moved(*waiting))
                waiting = next(audio, None)
            container.mux(_moved(packet, video))
            count += 1
        while waiting is not None:
            container.mux(_moved(*waiting))
            waiting = next(audio, None)
    return count


@contextmanager
def _output(path: Path) -> Iterator[Any]:
    av = video_library()
    kind = {".mkv": "matroska", ".mov": "mov", ".mp4": "mp4"}[path.suffix.lower()]
    # No random ids and no clock in the file.
    options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if kind != "matroska" else {})
    try:
        with whole_file(path) as temporary:
            with av.open(str(temporary), "w", format=kind, options=options) as container:
                yield container
    except av.error.FFmpegError as error:
        raise FilmError(f"{path}: cannot be written: {error.strerror or error}") from error


def _add_stream(container: Any, pixels: Pixels, encoding: Encoding) -> Any:
    height, width = pixels.shape[:2]
    alpha = encoding.form == "alpha"
    stream = container.add_stream(
        "prores_ks" if alpha else "libx264",
        rate=encoding.rate,
        options=_PRORES_4444 if alpha else _X264,
    )
    stream.width, stream.height = width, height
    # Halved colours, which all players show, need even sides.
    even = height % 2 == 0 and width % 2 == 0
    stream.pix_fmt = "yuva444p10le" if alpha else "yuv420p" if even else "yuv444p"
    context = stream.codec_context
    context.time_base = stream.time_base = encoding.time_base
    context.thread_count = 1
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    if not alpha:
        context.gop_size = _KEY_EVERY
    return stream


def _picture(av: Any, pixels: Pixels, pix_fmt: str) -> Any:
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    kind = "rgba" if pixels.shape[2] == 4 else "rgb24"
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind)
    return picture.reformat(format=pix_fmt, dst_colorspace="ITU709")


def _packets(parts: Sequence[Path]) -> Iterator[Any]:
    for part in parts:
        with opened(part) as (container, stream):
            for packet in container.demux(stream):
                if packet.size:
                    yield packet


def _audio(film: Any, tracks: dict[int, Any]) -> Iterator[tuple[Any, Any]]:
    if tracks:
        for packet in film.demux(*film.streams.audio):
            if packet.size and packet.dts is not None:
                yield packet, tracks[packet.stream.index]


def _moved(packet: Any, stream: Any) -> Any:
    packet.stream = stream
    return packet


def _seconds(packet: Any) -> Fraction:
    return Fraction(packet.dts) * Fraction(packet.time_base)
