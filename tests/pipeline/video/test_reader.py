"""Films come upright, whole, with exact times; what is none is refused."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.video.reader import FilmError, read_frames, read_metadata
from tests.pipeline.video.films import frame_of, write_film


def test_frames_and_times_are_those_that_were_written(tmp_path: Path) -> None:
    frames = [frame_of(n) for n in range(20)]
    path = write_film(tmp_path / "film.mp4", frames)
    metadata = read_metadata(path)
    read = list(read_frames(path, metadata.times[0], None))
    assert [frame.time for frame in read] == list(metadata.times) and len(read) == 20
    steps = {
        Fraction(b - a) * metadata.time_base
        for a, b in zip(metadata.times, metadata.times[1:], strict=False)
    }
    assert steps == {Fraction(1, 25)} and metadata.duration_s == pytest.approx(19 / 25)
    for expected, frame in zip(frames, read, strict=True):
        assert np.abs(frame.pixels.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("start", [0, 1, 7, 13, 19])
def test_it_begins_at_any_frame(tmp_path: Path, start: int) -> None:
    path = write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(20)], g="6", bf="2")
    times = read_metadata(path).times
    read = list(read_frames(path, times[start], times[-1]))
    assert [frame.time for frame in read] == list(times[start:-1])
    for number, frame in enumerate(read, start):
        assert np.abs(frame.pixels.astype(int) - frame_of(number)).mean() < 6


@pytest.mark.parametrize("rotation", [-90, 90, 180])
def test_turned_films_come_upright(tmp_path: Path, rotation: int) -> None:
    path = write_film(tmp_path / "film.mp4", [frame_of(0)] * 3, rotation=rotation)
    first = next(read_frames(path, read_metadata(path).times[0], None)).pixels
    # FFmpeg's angle is counterclockwise: a red corner at the upper left goes with it.
    expected = np.rot90(frame_of(0), rotation // 90)
    assert first.shape == expected.shape
    assert np.abs(first.astype(int) - expected).mean() < 4


def test_times_between_frames_may_differ(tmp_path: Path) -> None:
    times = [0, 1, 2, 10, 11, 30, 31, 32, 50, 99]
    path = write_film(tmp_path / "film.mkv", [frame_of(n) for n in range(10)], times,
                      Fraction(1, 1000))  # fmt: skip
    assert list(read_metadata(path).times) == times
    assert [frame.time for frame in read_frames(path, 10, 50)] == [10, 11, 30, 31, 32]


def test_ten_bits_are_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", [frame_of(0)] * 3, pix_fmt="yuv444p10le")
    read = next(read_frames(path, 0, None)).pixels
    assert read.dtype == np.uint8 and np.abs(read.astype(int) - frame_of(0)).mean() < 4


def test_a_film_that_was_cut_off_ends_early(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mkv", [frame_of(n) for n in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    metadata = read_metadata(path)
    assert 10 < len(list(read_frames(path, metadata.times[0], None))) < 50


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no film", "cannot be read as a film"), (b"", "cannot be read as a film")],
)
def test_what_is_no_film_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(FilmError, match=f"film.mp4: {words}"):
        read_metadata(path)
    with pytest.raises(FilmError, match="other.mp4: no such film"):
        read_metadata(tmp_path / "other.mp4")


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(track.encode(sound))
        container.mux(track.encode())
    with pytest.raises(FilmError, match="no video stream"):
        read_metadata(path)


def test_without_the_extra_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"films need the extra `video`: pip install"):
        read_metadata(tmp_path / "film.mp4")
