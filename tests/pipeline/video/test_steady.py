"""Steady drawings of a still camera: half the flicker, no smear where something moves or is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pipeline.arrays import Pixels
from pipeline.video.motion import motion_between
from pipeline.video.steady import WINDOW, Flicker, Steadier
from tests.pipeline.video.test_motion import texture


def film_and_drawings(count: int = 16, cut: int | None = None) -> tuple[list[Pixels], list[Pixels]]:
    """A still scene with a square that moves, and drawings whose lines tremble."""
    rng = np.random.default_rng(0)
    films, drawings = [], []
    for number in range(count):
        scene = 0 if cut is None or number < cut else 1
        picture = texture(scene).astype(np.float64) + rng.normal(0, 3, (120, 160, 3))
        drawing = np.full((120, 160), 235.0)
        drawing[:, 20 + 60 * scene : 24 + 60 * scene] = 40
        left = 90 + 3 * number
        picture[50:70, left : left + 16] = (250, 20, 20)
        drawing[50:70, left : left + 16] = 0
        drawing += rng.normal(0, 18, drawing.shape)
        films.append(np.clip(picture, 0, 255).astype(np.uint8))
        drawings.append(np.clip(drawing, 0, 255).astype(np.uint8))
    return films, drawings


def steadied(films: list[Pixels], drawings: list[Pixels]) -> list[Pixels]:
    steadier = Steadier()
    motions = [None, *(motion_between(a, b) for a, b in pairwise(films))]
    return [steadier.steady(d, m) for d, m in zip(drawings, motions, strict=True)]


def flicker(films: list[Pixels], drawings: list[Pixels]) -> float:
    figure = Flicker()
    for (a, b), (before, after) in zip(pairwise(films), pairwise(drawings), strict=True):
        figure.add(before, after, motion_between(a, b))
    return figure.mean


def test_flicker_is_halved() -> None:
    films, drawings = film_and_drawings()
    raw, steady = flicker(films, drawings), flicker(films, steadied(films, drawings))
    # Two noises of deviation 18 differ by 18 * 2 / sqrt(pi) on average.
    assert 15 < raw < 22
    assert steady < raw / 2


def test_what_moves_leaves_no_trail() -> None:
    films, drawings = film_and_drawings()
    last = steadied(films, drawings)[-1].astype(int)
    left = 90 + 3 * 15
    assert last[52:68, left + 2 : left + 14].mean() < 40  # black where it is
    assert last[52:68, left - 12 : left - 4].mean() > 200  # paper where it was


def test_a_cut_is_not_smeared() -> None:
    films, drawings = film_and_drawings(cut=8)
    after = steadied(films, drawings)[8]
    np.testing.assert_array_equal(after, drawings[8])


def test_flicker_does_not_count_a_cut() -> None:
    films, drawings = film_and_drawings(cut=8)
    assert abs(flicker(films, drawings) - flicker(*film_and_drawings())) < 2


def test_memory_is_finite() -> None:
    """Begun a window of frames early, a part is what it is in the whole."""
    films, drawings = film_and_drawings()
    whole, start = steadied(films, drawings), 9
    part = steadied(films[start - WINDOW :], drawings[start - WINDOW :])
    for ours, theirs in zip(part[WINDOW:], whole[start:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_flicker_of_a_known_change() -> None:
    films = [texture(0)] * 2
    drawings = [np.full((120, 160), grey, np.uint8) for grey in (200, 190)]
    assert abs(flicker(films, drawings) - 10) < 0.1
    assert Flicker().mean == 0
