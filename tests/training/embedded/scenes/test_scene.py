"""Scenes: determinism, shapes, captions, and agreement of line art with geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.embedded.scenes.kinds import KINDS
from training.embedded.scenes.palette import NAMES
from training.embedded.scenes.scene import Scene, make_scene

NUM_SCENES = 240


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed) for seed in range(NUM_SCENES)]


@pytest.mark.parametrize("size", [32, 100, 128, 256])
def test_shapes_types_and_ranges(size: int) -> None:
    for seed in range(12):
        s = make_scene(seed, size)
        assert (s.image.shape, s.image.dtype) == ((size, size, 3), np.uint8)
        assert (s.line_art.shape, s.line_art.dtype) == ((size, size), np.uint8)
        assert (s.depth.shape, s.depth.dtype) == ((size, size), np.float32)
        assert 0.0 <= s.depth.min() and s.depth.max() <= 1.0
        assert len(s.kinds) == len(s.colours)


@pytest.mark.parametrize("size", [16, 1024])
def test_rejects_sizes_out_of_range(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        make_scene(0, size)


def test_a_scene_depends_on_its_seed_alone(scenes: list[Scene]) -> None:
    np.random.seed(7)
    for seed in (211, 3, 90):
        again = make_scene(seed)
        for field in ("image", "line_art", "depth"):
            assert np.array_equal(getattr(again, field), getattr(scenes[seed], field))
        assert again.caption == scenes[seed].caption


def test_seeds_differ(scenes: list[Scene]) -> None:
    assert len({s.image.tobytes() for s in scenes}) == NUM_SCENES


def test_captions_name_what_is_there(scenes: list[Scene]) -> None:
    for s in scenes:
        assert s.caption == s.caption.lower()
        assert len(s.caption.split()) <= 20
        for kind, colour in zip(s.kinds, s.colours, strict=True):
            assert f"{colour} {kind}" in s.caption


def test_order_of_words_is_order_of_objects(scenes: list[Scene]) -> None:
    for s in scenes:
        if len(set(s.kinds)) > 1:
            places = [s.caption.index(f"{c} {k}") for k, c in zip(s.kinds, s.colours, strict=True)]
            assert places == sorted(places)


def test_every_kind_and_colour_appears(scenes: list[Scene]) -> None:
    assert {k for s in scenes for k in s.kinds} == set(KINDS)
    assert {c for s in scenes for c in s.colours} == set(NAMES)
    assert 0.02 < np.mean([not s.kinds for s in scenes]) < 0.16


def test_ink_lies_on_depth_steps(scenes: list[Scene]) -> None:
    """Where depth jumps at an object's silhouette, ink is near: both come from one geometry."""
    shares = []
    for s in (s for s in scenes if len(s.kinds) == 1 and s.ground != "leaves"):
        step = np.abs(np.diff(s.depth, axis=1))[:, :-1] > 0.15
        near_ink = cv2.erode(s.line_art, np.ones((3, 3), np.uint8))[:, 1:-1] < 200
        shares.append(near_ink[step].mean())
    assert np.min(shares) > 0.97
