"""The strip of snapshots: which iterations it shows, and where each picture goes."""

from __future__ import annotations

import numpy as np

from training.snapshots import CELL, StripRow, draw_strip, snapshot_iterations


def test_snapshots_double_up_to_the_end() -> None:
    assert snapshot_iterations(1200) == [0, 50, 100, 200, 400, 800, 1200]
    assert snapshot_iterations(1) == [0, 1]


def test_every_picture_has_its_cell() -> None:
    picture = np.full((64, 64, 3), (200, 30, 30), dtype=np.uint8)
    sketches = {0: np.full((64, 64), 90, np.uint8), 7: np.full((64, 64), 10, np.uint8)}
    rows = [
        StripRow("first", picture, sketches[0], sketches),
        StripRow("second", picture, None, sketches),
    ]
    page = np.asarray(draw_strip(rows))
    red = (page == (200, 30, 30)).all(axis=-1)
    black = (page == 10).all(axis=-1)
    assert red.sum() == 2 * CELL * CELL and black.sum() >= 2 * CELL * CELL
    assert draw_strip(rows).size == draw_strip(rows[::-1]).size
