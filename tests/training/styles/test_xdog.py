"""XDoG against a literal transcription, its blur against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from training.styles.xdog import gaussian_blur, xdog


def picture(height: int, width: int) -> Pixels:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, size=(7, 9, 3), dtype=np.uint8)
    tiled = np.kron(coarse, np.ones((10, 10, 1), dtype=np.uint8))
    noise = rng.integers(-8, 9, size=tiled.shape)
    return np.clip(tiled + noise, 0, 255).astype(np.uint8)[:height, :width]


def literal_xdog(rgb: Pixels) -> NDArray[np.float64]:
    """Word for word from the description of the style, with SciPy's own filter."""
    grey = rgb.astype(np.float64).sum(axis=2) / 3 / 255
    narrow = scipy.ndimage.gaussian_filter(grey, 0.5)
    wide = scipy.ndimage.gaussian_filter(grey, 0.5 * 200)
    difference = narrow - 0.98 * wide
    drawn = np.empty_like(difference)
    for at, value in np.ndenumerate(difference):
        drawn[at] = 1.0 if value >= 0.1 else 1.0 + np.tanh(10 * (value - 0.1))
    return drawn


@pytest.mark.parametrize("shape", [(70, 90), (33, 40)])
def test_xdog_equals_a_literal_transcription(shape: tuple[int, int]) -> None:
    rgb = picture(*shape)
    expected = literal_xdog(rgb)
    assert np.abs(xdog(rgb) / 255 - expected).max() <= 0.5 / 255 + 1e-9
    assert 0.05 < (expected < 0.5).mean() < 0.95


@pytest.mark.parametrize("sigma", [0.5, 3.0, 100.0])
def test_blur_equals_scipys(sigma: float) -> None:
    image = np.random.default_rng(1).random((31, 50))
    expected = scipy.ndimage.gaussian_filter(image, sigma)
    assert np.allclose(gaussian_blur(image, sigma), expected, atol=1e-12)
