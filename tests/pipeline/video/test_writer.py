"""Films keep times, sizes and sound; equal frames give equal bytes; parts are joined by copying."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.arrays import Pixels
from pipeline.video.reader import FilmError, Frame, read_metadata
from pipeline.video.writer import Encoding, check_form, join, write_part
from tests.pipeline.video.films import frame_of, moments, write_film

BASE = Fraction(1, 25)
DRAWING = Encoding("drawing", BASE, Fraction(25))


def lines(number: int, height: int = 48, width: int = 64) -> Pixels:
    drawing = np.full((height, width), 255, np.uint8)
    drawing[:, 3 + 2 * number : 6 + 2 * number] = 0
    return drawing


def frames(count: int, first: int = 0) -> list[Frame]:
    return [Frame(lines(n), n) for n in range(first, first + count)]


def greys(path: Path, pix_fmt: str = "gray") -> list[Pixels]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format=pix_fmt) for f in container.decode(container.streams.video[0])]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("size", [(48, 64), (49, 65), (359, 641)])
def test_frames_come_back(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"drawing{suffix}"
    given = [Frame(lines(n, *size), n) for n in range(10)]
    assert write_part(path, given, DRAWING) == 10
    assert moments(path) == [n * BASE for n in range(10)]
    read = greys(path)
    assert {image.shape for image in read} == {size}
    for frame, image in zip(given, read, strict=True):
        assert np.abs(image.astype(int) - frame.pixels).mean() < 3


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_part(tmp_path / name, frames(12), DRAWING)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_opacity_is_carried_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "ink.mov"
    ink = np.random.default_rng(0).integers(0, 256, (48, 64, 2), np.uint8)
    ink[..., 0] = 0
    write_part(path, [Frame(ink, 0)], Encoding("alpha", BASE, Fraction(25)))
    read = greys(path, "rgba")[0]
    assert np.abs(read[..., 3].astype(int) - ink[..., 1]).max() <= 1
    assert read[..., :3][ink[..., 1] > 200].max() < 16


def test_colours_come_back(tmp_path: Path) -> None:
    path = tmp_path / "over.mp4"
    picture = np.full((48, 64, 3), (200, 40, 60), np.uint8)
    write_part(path, [Frame(picture, 0)], Encoding("over", BASE, Fraction(25)))
    assert np.abs(greys(path, "rgb24")[0].astype(int) - picture).max() <= 6


@pytest.mark.parametrize("audio", [0, 1, 2])
def test_sound_is_copied_packet_by_packet(tmp_path: Path, audio: int) -> None:
    film = write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(10)], audio=audio)
    part = tmp_path / "part.mp4"
    write_part(part, frames(10), DRAWING)
    out = tmp_path / "drawn.mp4"
    assert join(out, [part], film, read_metadata(film)) == 10
    assert sound_packets(out) == sound_packets(film)
    assert len(sound_packets(out)) == audio and all(sound_packets(out))
    with av.open(str(out)) as container:  # and can be decoded
        assert sum(f.samples for f in container.decode(audio=0)) >= 8000 if audio else True


def sound_packets(path: Path) -> list[list[tuple[Fraction, bytes]]]:
    """Of each track: when its packets sound, from the first on, and what they hold."""
    found = []
    with av.open(str(path)) as container:
        tracks: Sequence[Any] = container.streams.audio
        for track in range(len(tracks)):
            with av.open(str(path)) as again:
                packets = [p for p in again.demux(again.streams.audio[track]) if p.size]
                base = Fraction(packets[0].time_base)
                found.append([((p.pts - packets[0].pts) * base, bytes(p)) for p in packets])
    return found


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60000, 1001), Fraction(30)])
def test_odd_rates_stay_exact(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "drawing.mp4"
    write_part(path, frames(30), Encoding("drawing", 1 / rate, rate))
    assert moments(path) == [n / rate for n in range(30)]


def test_parts_joined_are_the_whole(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(12)])
    parts = []
    for number, first in enumerate((0, 5, 10)):
        parts.append(tmp_path / f"{number}.mp4")
        write_part(parts[-1], frames(min(5, 12 - first), first), DRAWING)
    out = tmp_path / "drawn.mp4"
    assert join(out, parts, film, read_metadata(film)) == 12
    assert moments(out) == [n * BASE for n in range(12)]
    for number, image in enumerate(greys(out)):
        assert np.abs(image.astype(int) - lines(number)).mean() < 3


def test_what_a_file_cannot_hold_is_told(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    with av.open(str(film), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        track: Any = container.add_stream("pcm_s24le", rate=8000)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_of(0), "rgb24")))
        container.mux(stream.encode())
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 64), np.int32), "s32", "mono")
        sound.sample_rate = 8000
        container.mux(track.encode(sound))
        container.mux(track.encode())
    part = tmp_path / "part.mp4"
    write_part(part, frames(1), DRAWING)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(FilmError, match=r"drawn.mp4.*audio as pcm_s24le.*ends in .mkv"):
        join(tmp_path / "drawn.mp4", [part], film, read_metadata(film))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_forms_have_their_suffixes() -> None:
    check_form("over", Path("a.MP4"))
    with pytest.raises(ValueError, match=r"a.mp4: a film of the form alpha is named \*.mov"):
        check_form("alpha", Path("a.mp4"))
    with pytest.raises(ValueError, match="expected one of drawing, over, alpha, got ink"):
        check_form("ink", Path("a.mp4"))
