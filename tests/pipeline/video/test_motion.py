"""Motion of pictures that were moved by a known way, and cuts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pipeline.arrays import Pixels
from pipeline.video.motion import motion_between


def texture(seed: int, height: int = 120, width: int = 160) -> Pixels:
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (3, 3, 0))
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 4), (3, -2), (-5, 1)])
def test_a_shift_is_found(rows: int, columns: int) -> None:
    before = texture(0)
    after = np.roll(before, (rows, columns), (0, 1))
    motion = motion_between(before, after)
    inner = motion.flow[20:-20, 20:-20].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inner, 0), (-columns, -rows), atol=0.3)
    assert motion.same[20:-20, 20:-20].mean() > 0.95
    moved = motion.warp(before[..., 0])[20:-20, 20:-20]
    assert np.abs(moved - after[20:-20, 20:-20, 0]).mean() < 3


def test_what_was_covered_is_not_the_same() -> None:
    before = texture(0)
    after = before.copy()
    after[40:80, 60:110] = texture(1)[40:80, 60:110]
    same = motion_between(before, after).same
    assert same[45:75, 65:105].mean() < 0.5 and same[:30].mean() > 0.95


def test_noise_is_no_change() -> None:
    before = texture(0)
    noise = np.random.default_rng(1).normal(0, 6, before.shape)
    after = np.clip(before + noise, 0, 255).astype(np.uint8)
    assert motion_between(before, after).same.mean() > 0.9


def test_another_scene_is_a_cut() -> None:
    assert motion_between(texture(0), texture(1)).is_cut
    assert not motion_between(texture(0), texture(0)).is_cut


@pytest.mark.parametrize("size", [(8, 8), (30, 700), (700, 30)])
def test_odd_sizes_are_taken(size: tuple[int, int]) -> None:
    picture = texture(0, *size)
    motion = motion_between(picture, picture)
    assert motion.flow.shape == (*size, 2) and motion.same.mean() > 0.9
