"""A film in parts: planned by its packets, equal however it is divided, frames in = frames out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.arrays import Pixels
from pipeline.drawings.finish import Finish
from pipeline.video.film import FilmStyle, draw_part, plan_parts, total_flicker
from pipeline.video.reader import read_metadata
from pipeline.video.steady import WINDOW
from tests.pipeline.video.films import frame_of, moments, write_film


def draw(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    """Draw as a filter does: the red channel's dark half."""
    for picture in pictures:
        yield np.where(picture[..., 0] < 128, 0, 255).astype(np.uint8)


def decoded(path: Path) -> list[Pixels]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="gray") for f in container.decode(container.streams.video[0])]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(23)], g="7")


def test_parts_cover_the_film_once(film: Path) -> None:
    metadata = read_metadata(film)
    parts = plan_parts(metadata, 5)
    assert [part.frames for part in parts] == [5, 5, 5, 5, 3]
    assert [part.start for part in parts] == [metadata.times[n] for n in (0, 5, 10, 15, 20)]
    assert [part.stop for part in parts] == [*(part.start for part in parts[1:]), None]
    assert parts[0].warm == parts[0].start and parts[2].warm == metadata.times[9 - WINDOW]


@pytest.mark.parametrize("steady", [False, True])
def test_however_it_is_divided_the_frames_are_the_same(
    film: Path, tmp_path: Path, steady: bool
) -> None:
    metadata, style = read_metadata(film), FilmStyle(steady=steady)
    whole = tmp_path / "whole.mp4"
    assert draw_part(film, plan_parts(metadata)[0], draw, style, metadata, whole).frames == 23
    pieces, times = [], []
    for part in reversed(plan_parts(metadata, 6)):
        target = tmp_path / f"{part.number}.mp4"
        assert draw_part(film, part, draw, style, metadata, target).frames == part.frames
        pieces[:0], times[:0] = decoded(target), moments(target)
    assert times == moments(film)
    for ours, theirs in zip(pieces, decoded(whole), strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 2  # x264 begins anew in each part


def test_the_same_part_has_the_same_bytes(film: Path, tmp_path: Path) -> None:
    metadata = read_metadata(film)
    part = plan_parts(metadata, 10)[1]
    for name in ("a.mp4", "b.mp4"):
        draw_part(film, part, draw, FilmStyle(steady=True), metadata, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_forms_and_lines(film: Path, tmp_path: Path) -> None:
    metadata = read_metadata(film)
    part = plan_parts(metadata)[0]
    over = tmp_path / "over.mp4"
    draw_part(film, part, draw, FilmStyle("over"), metadata, over)
    with av.open(str(over)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    ink = frame_of(0)[..., 0] < 120
    assert picture[ink].mean() < 20
    kept = frame_of(0)[..., 0] > 140
    assert np.abs(picture[kept].astype(int) - frame_of(0)[kept]).mean() < 8
    inverted = tmp_path / "inverted.mp4"
    draw_part(film, part, draw, FilmStyle(finish=Finish(invert=True)), metadata, inverted)
    assert decoded(inverted)[0][ink].mean() > 230
    alpha = tmp_path / "alpha.mov"
    draw_part(film, part, draw, FilmStyle("alpha"), metadata, alpha)
    with av.open(str(alpha)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgba")
    assert picture[ink][:, 3].mean() > 250 and picture[kept][:, 3].mean() < 5


def test_flicker_is_that_of_all_parts(film: Path, tmp_path: Path) -> None:
    metadata = read_metadata(film)
    whole = draw_part(
        film, plan_parts(metadata)[0], draw, FilmStyle(steady=True), metadata, tmp_path / "w.mp4"
    )
    style = FilmStyle(steady=True)
    reports = [
        draw_part(film, part, draw, style, metadata, tmp_path / f"{part.number}.mp4")
        for part in plan_parts(metadata, 6)
    ]
    for kind in ("drawn", "written"):
        one, many = getattr(whole, kind), [getattr(report, kind) for report in reports]
        assert sum(flicker.frames for flicker in many) == one.frames
        assert total_flicker(many) == pytest.approx(one.mean)


_MEASURE = """
import sys
from pathlib import Path
import numpy as np
from pipeline.video.film import FilmStyle, draw_part, plan_parts
from pipeline.video.reader import read_metadata

def peak_kib():
    # Not getrusage: a new process begins with its parent's peak.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

peaks = []
def draw(pictures):
    for number, picture in enumerate(pictures):
        if number % 400 == 0:
            peaks.append(peak_kib())
        yield picture[..., 0]

film, out = map(Path, sys.argv[1:])
metadata = read_metadata(film)
draw_part(film, plan_parts(metadata, 10**9)[0], draw, FilmStyle(steady=True), metadata, out)
print(*peaks)
"""


def test_memory_is_flat(tmp_path: Path) -> None:
    """Two thousand frames in one part take no more than the first eight hundred, to 5 %."""
    film = write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(2400)], preset="ultrafast")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(film), str(tmp_path / "out.mp4")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = [int(peak) for peak in done.stdout.split()]
    assert len(peaks) == 6 and peaks[-1] < 1.05 * peaks[2]
