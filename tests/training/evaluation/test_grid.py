"""The grid score against drawings with a known comb."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import periodogram

from pipeline.arrays import Pixels
from training.evaluation.grid import grid_db


def noise(side: int = 256) -> Pixels:
    return np.random.default_rng(0).integers(60, 180, (side, side), np.uint8)


def test_noise_and_an_empty_page_have_none() -> None:
    assert abs(grid_db(noise())) < 1
    assert grid_db(np.full((64, 80), 255, np.uint8)) == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_a_comb_is_seen_along_either_side(axis: int) -> None:
    comb = np.where(np.arange(256) % 8 == 0, 60, 0).astype(np.uint8)
    drawn = noise() + (comb[:, None] if axis == 0 else comb[None])
    assert grid_db(drawn) > 4  # along one side only, so half of what eight peaks would give
    other = np.where(np.arange(256) % 7 == 0, 60, 0).astype(np.uint8)  # of another network
    assert abs(grid_db(noise() + other[None])) < 1


def test_it_is_the_mean_of_eight_ratios_in_decibels() -> None:
    drawing = noise(64)
    drawing[:, ::8] = 240
    expected = []
    for lines in (drawing, drawing.T):
        window = np.hanning(64)
        _, spectrum = periodogram(
            lines.astype(float) - lines.mean(1, keepdims=True), window=window, detrend=False
        )
        power = spectrum.mean(0)
        power[-1] *= 2  # periodogram counts all bins but the last twice
        for at in (8, 16, 24, 32):
            near = [i for i in range(1, 33) if 2 < abs(i - at) <= 8]
            expected.append(10 * np.log10(power[at] / np.median(power[near])))
    assert grid_db(drawing) == pytest.approx(np.mean(expected), rel=1e-6)
