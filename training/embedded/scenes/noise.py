"""Cached periodic 1/f and white noise tiles and their crops; float32, zero mean, unit std."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Noise = NDArray[np.float32]

TILE = 512
NUM_TILES = 6
BANK_SEED = 20240229


@lru_cache(maxsize=1)
def pink_bank() -> Noise:
    """Make the fixed bank of noise whose amplitude falls as 1/f; (NUM_TILES, TILE, TILE)."""
    rng = np.random.default_rng(BANK_SEED)
    f = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :])
    # Below 4 cycles a tile the spectrum is flat, so that small crops keep unit variance nearly.
    gain = 1.0 / np.maximum(f, 4.0 / TILE)
    gain[0, 0] = 0.0
    white = rng.standard_normal((NUM_TILES, TILE, TILE))
    pink = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(TILE, TILE))
    return (pink / pink.std(axis=(1, 2), keepdims=True)).astype(np.float32)


@lru_cache(maxsize=1)
def white_tile() -> Noise:
    """Make the fixed tile of white noise for sensor grain; (TILE, TILE, 3)."""
    rng = np.random.default_rng(BANK_SEED + 1)
    return rng.standard_normal((TILE, TILE, 3)).astype(np.float32)


def pink(
    rng: np.random.Generator, height: int, width: int, stretch: tuple[float, float] = (1.0, 1.0)
) -> Noise:
    """Crop 1/f noise, elongated by stretch (along y, along x).

    Returns:
        (height, width); may be a view of the bank, so do not write to it.
    """
    h = max(2, min(TILE, round(height / stretch[0])))
    w = max(2, min(TILE, round(width / stretch[1])))
    k, y, x = rng.integers((NUM_TILES, TILE - h + 1, TILE - w + 1))
    crop = pink_bank()[k, y : y + h, x : x + w]
    if (h, w) == (height, width):
        return crop
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC)


def grain(rng: np.random.Generator, size: int) -> Noise:
    """Crop white noise; (size, size, 3), a view of the tile, so do not write to it."""
    y, x = rng.integers(TILE - size + 1, size=2)
    return white_tile()[y : y + size, x : x + size]
