"""Painting: what stands in front hides what is behind, in all three pictures."""

from __future__ import annotations

import numpy as np

from training.embedded.scenes.outline import Part, rectangle
from training.embedded.scenes.render import Light, blank_canvas, line_art, paint_part


def test_hidden_lines_are_hidden() -> None:
    canvas, light = blank_canvas(128), Light(0.0, -0.6, 0.8)
    grey = np.full(3, 128.0, np.float32)
    rng = np.random.default_rng(0)
    for outline, plane in ((rectangle(20, 4, 30, 60), 0.2), (rectangle(8, 20, 56, 44), 0.6)):
        paint_part(canvas, Part(outline, grey), outline, plane, light, rng)
    ink = line_art(canvas)
    assert (ink[24:40, 12:52] == 255).all()
    assert (ink[8:17, 20] < 160).all() and (ink[20, 12:52] < 160).all()
    assert np.allclose(canvas.depth[32, 25], 0.62, atol=0.03)
    assert np.allclose(canvas.depth[12, 25], 0.22, atol=0.03)
