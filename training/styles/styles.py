"""Drawing styles that need no teacher: truth for evaluation and baselines to beat (paper 5.2).

A style maps a picture, uint8 (H, W, 3), to a drawing, uint8 (H, W), 255 = paper and 0 = ink.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from skimage.filters import sobel_h, sobel_v

Picture = NDArray[np.uint8]  # (H, W, 3)
Drawing = NDArray[np.uint8]  # (H, W)
Style = Callable[[Picture], Drawing]

GAUSSIAN_REACH = 4.0  # standard deviations kept on each side, as scipy.ndimage does
STRONG_EDGE_PERCENTILE = 99.0
FAINTEST_FULL_EDGE = 0.05  # of the grey range; keeps noise on flat pictures from becoming ink


@dataclass(frozen=True)
class XDoGSettings:
    """Constants of Gary Grossi's XDoG, those that the paper's style was made with."""

    sigma: float = 0.5
    k: float = 200.0
    gamma: float = 0.98
    eps: float = 0.1
    phi: float = 10.0


def grey(picture: Picture) -> NDArray[np.float64]:
    """Mean of the channels: uint8 (H, W, 3) -> float64 (H, W) in [0, 1].

    The plain mean, not luma: it is what the published XDoG scores were computed on.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"expected a picture uint8 (H, W, 3), got {picture.dtype} "
            f"{picture.shape}; convert it to RGB first"
        )
    return picture.mean(axis=2) / 255.0


def gaussian_blur(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian blur, kernel cut at 4 sigma, picture continued by reflection: (H, W) -> (H, W).

    Reflection at the pixel border diagonalises in the DCT-II, so that the wide blur (sigma 100
    pixels, 801 taps) costs two transforms instead of 1,602 multiplications a pixel.
    """
    spectrum = dctn(image, type=2)
    spectrum *= np.outer(*(_transfer(length, sigma) for length in image.shape))
    return idctn(spectrum, type=2)


def _transfer(length: int, sigma: float) -> NDArray[np.float64]:
    """Factors by which the cut kernel scales the DCT-II components 0 .. length - 1."""
    radius = int(GAUSSIAN_REACH * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    frequencies = np.pi * np.arange(length) / length
    return np.cos(np.outer(frequencies, offsets)) @ kernel


def xdog(picture: Picture, settings: XDoGSettings | None = None) -> Drawing:
    """Extended difference of Gaussians: 1 where DoG >= eps, else 1 + tanh(phi (DoG - eps)).

    DoG = G(sigma) - gamma G(k sigma) of the grey picture (Winnemoeller et al. 2012, with Gary
    Grossi's constants).
    """
    s = settings or XDoGSettings()
    image = grey(picture)
    dog = gaussian_blur(image, s.sigma) - s.gamma * gaussian_blur(image, s.k * s.sigma)
    return _to_drawing(np.where(dog >= s.eps, 1.0, 1.0 + np.tanh(s.phi * (dog - s.eps))))


def sobel(picture: Picture) -> Drawing:
    """Plain edge filter: black lines where the grey level changes fastest, on white.

    Ink is the gradient's magnitude over its 99th percentile in this picture, so that faint and
    strong pictures both get lines.
    """
    image = grey(picture)
    strength = np.hypot(sobel_h(image), sobel_v(image))
    full = max(float(np.percentile(strength, STRONG_EDGE_PERCENTILE)), FAINTEST_FULL_EDGE)
    return _to_drawing(1.0 - strength / full)


def edges(picture: Picture) -> Drawing:
    """Soft boundaries of things, drawn by the learned network that comes with the package."""
    # Here, or every command that lists the styles would wait seconds for torch.
    from training.styles.edges import draw_edges, shipped_edges

    return draw_edges(shipped_edges(), picture)


def blank(picture: Picture) -> Drawing:
    """An empty page of the picture's size."""
    return np.full(picture.shape[:2], 255, dtype=np.uint8)


def _to_drawing(values: NDArray[np.float64]) -> Drawing:
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


STYLES: dict[str, Style] = {"xdog": xdog, "edges": edges, "sobel": sobel, "blank": blank}
