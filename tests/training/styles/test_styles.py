import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage

from training.styles.styles import STYLES, blank, gaussian_blur, sobel, xdog


def picture(height=70, width=90, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, size=(7, 9, 3), dtype=np.uint8)
    tiled = np.kron(coarse, np.ones((10, 10, 1), dtype=np.uint8))
    noise = rng.integers(-8, 9, size=tiled.shape)
    return np.clip(tiled + noise, 0, 255).astype(np.uint8)[:height, :width]


def literal_xdog(rgb):
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
def test_xdog_equals_a_literal_transcription(shape):
    rgb = picture(*shape)
    expected = literal_xdog(rgb)
    assert np.abs(xdog(rgb) / 255 - expected).max() <= 0.5 / 255 + 1e-9
    assert 0.05 < (expected < 0.5).mean() < 0.95


@pytest.mark.parametrize("sigma", [0.5, 3.0, 100.0])
def test_blur_equals_scipys(sigma):
    image = np.random.default_rng(1).random((31, 50))
    expected = scipy.ndimage.gaussian_filter(image, sigma)
    assert np.allclose(gaussian_blur(image, sigma), expected, atol=1e-12)


def test_sobel_draws_black_lines_on_white():
    rgb = np.zeros((40, 40, 3), dtype=np.uint8)
    rgb[:, 20:] = 200
    drawn = sobel(rgb)
    assert (drawn[5:-5, 18:22].min(axis=1) < 10).all()
    assert (drawn[:, :15] == 255).all() and (drawn[:, 25:] == 255).all()


def test_sobel_leaves_flat_noise_white():
    rgb = np.random.default_rng(0).integers(127, 129, size=(40, 40, 3), dtype=np.uint8)
    assert sobel(rgb).mean() > 240


def test_every_style_keeps_size_and_type():
    for style in STYLES.values():
        drawn = style(picture(50, 64))
        assert drawn.shape == (50, 64) and drawn.dtype == np.uint8
    assert (blank(picture()) == 255).all()


def test_a_picture_in_another_form_is_refused():
    with pytest.raises(ValueError, match="convert it to RGB"):
        xdog(np.zeros((8, 8, 4), dtype=np.uint8))


def test_listing_the_styles_does_not_wait_for_torch():
    code = "import sys, training.styles.styles; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
