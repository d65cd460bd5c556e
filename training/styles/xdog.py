"""XDoG, the extended difference of Gaussians: a drawing style with a formula, so a known truth.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper and 0 = ink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from pipeline.arrays import Pixels, check_picture

GAUSSIAN_REACH = 4.0  # standard deviations kept on each side, as scipy.ndimage does


@dataclass(frozen=True)
class XDoGSettings:
    """Constants of Gary Grossi's XDoG, those of DiffSketch's style (appendix A)."""

    sigma: float = 0.5
    k: float = 200.0
    gamma: float = 0.98
    eps: float = 0.1
    phi: float = 10.0


def xdog(picture: Pixels, settings: XDoGSettings | None = None) -> Pixels:
    """Draw by extended difference of Gaussians: uint8 (H, W, 3) -> uint8 (H, W).

    Paper where DoG >= eps, else 1 + tanh(phi (DoG - eps)), with DoG = G(sigma) - gamma G(k sigma)
    of the grey picture (Winnemoeller et al. 2012, with Gary Grossi's constants).
    """
    s = settings or XDoGSettings()
    image = grey(picture)
    dog = gaussian_blur(image, s.sigma) - s.gamma * gaussian_blur(image, s.k * s.sigma)
    return to_drawing(np.where(dog >= s.eps, 1.0, 1.0 + np.tanh(s.phi * (dog - s.eps))))


def grey(picture: Pixels) -> NDArray[np.float64]:
    """Average the channels: uint8 (H, W, 3) -> float64 (H, W) in [0, 1].

    The plain mean, not luma: it is what the published XDoG scores were computed on.

    Raises:
        ValueError: the picture has another type or shape.
    """
    check_picture(picture)
    return picture.mean(axis=2) / 255.0


def gaussian_blur(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur by a Gaussian, cut at 4 sigma, the picture continued by reflection: (H, W) -> (H, W).

    Reflection at the pixel border diagonalises in the DCT-II, so that the wide blur (sigma 100
    pixels, 801 taps) costs two transforms instead of 1,602 multiplications a pixel.
    """
    spectrum = dctn(image, type=2)
    spectrum *= np.outer(*(_transfer(length, sigma) for length in image.shape))
    return idctn(spectrum, type=2)


def to_drawing(values: NDArray[np.float64]) -> Pixels:
    """Convert shares of paper (H, W), clipped to [0, 1], to a drawing uint8 (H, W)."""
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def _transfer(length: int, sigma: float) -> NDArray[np.float64]:
    """Return the factors by which the cut kernel scales DCT-II components 0 .. length - 1."""
    radius = int(GAUSSIAN_REACH * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    frequencies = np.pi * np.arange(length) / length
    return np.cos(np.outer(frequencies, offsets)) @ kernel
