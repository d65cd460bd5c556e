"""SSIM and LPIPS against their definitions and the packages that define them."""

from __future__ import annotations

import lpips
import numpy as np
import pytest
import scipy.ndimage
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from pipeline.arrays import Pixels
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.lpips import Perceptual, load_perceptual
from training.evaluation.metrics import L1, EdgeF1, Lpips, Ssim


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory: pytest.TempPathFactory) -> Perceptual:
    return load_perceptual(write_perceptual(tmp_path_factory.mktemp("perceptual")))


def drawings(seed: int, side: int = 40) -> list[Pixels]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, size=(side, side), dtype=np.uint8) for _ in range(2)]


def literal_ssim(x: Pixels, y: Pixels) -> float:
    """Wang et al. 2004 with a Gaussian window of 11 pixels, mean over fully covered pixels."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    x, y = x.astype(float), y.astype(float)

    def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return scipy.ndimage.correlate(z, window)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()


def test_ssim_equals_the_definition() -> None:
    a, b = drawings(0)
    metric = Ssim()
    metric.update("one", a, b // 2 + a // 2)
    assert metric.compute() == pytest.approx(literal_ssim(a, b // 2 + a // 2), abs=1e-9)


@pytest.mark.parametrize("size", [(40, 40), (33, 64)])
def test_ssim_equals_scikit_image_with_its_own_window(size: tuple[int, int]) -> None:
    """The published settings, spelt in scikit-image's other way: floats in [0, 1]."""
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, size=size, dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 30, size), 0, 255).astype(np.uint8)
    metric = Ssim()
    metric.update("one", a, b)
    expected = structural_similarity(
        a / 255, b / 255, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert metric.compute() == pytest.approx(expected, abs=1e-9)
    assert metric.compute() == pytest.approx(literal_ssim(a, b), abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_lpips_equals_the_package_on_the_same_drawings(perceptual: Perceptual) -> None:
    """The package's own network and range, given the weights that the metric has."""
    reference = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()
    reference.load_state_dict(perceptual.network.state_dict())
    a, b = drawings(5)
    metric = Lpips(perceptual)
    metric.update("one", a, b)
    grey = [np.repeat(x[..., None], 3, axis=2) for x in (a, b)]  # (H, W, 3), as images are read
    with torch.no_grad():
        expected = reference(*(lpips.im2tensor(x) for x in grey)).item()
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


def test_lpips_gives_the_networks_distance_at_its_range(perceptual: Perceptual) -> None:
    a, b = drawings(1)
    metric = Lpips(perceptual)
    metric.update("one", a, b)
    pictures = [torch.tensor(x, dtype=torch.float32)[None, None] / 255 * 2 - 1 for x in (a, b)]
    assert metric.compute() == pytest.approx(perceptual.distance(*pictures).item(), rel=1e-5)


def test_l1_is_the_mean_difference_of_greys() -> None:
    drawing, truth = np.full((4, 4), 255, np.uint8), np.full((4, 4), 204, np.uint8)
    assert L1().score(drawing, truth) == pytest.approx(0.2)
    assert L1().score(truth, drawing) == pytest.approx(0.2)


def test_edge_f1_forgives_one_pixel_and_not_two() -> None:
    page = np.full((20, 20), 255, np.uint8)
    line, beside, far = (page.copy() for _ in range(3))
    line[:, 5], beside[:, 6], far[:, 7] = 0, 0, 0
    assert EdgeF1().score(beside, line) == 1
    assert EdgeF1().score(far, line) == 0
    both = line.copy()
    both[:, 15] = 0  # half of the ink is not in the truth: precision 1/2, recall 1
    assert EdgeF1().score(both, line) == pytest.approx(2 / 3)
    assert EdgeF1().score(line, both) == pytest.approx(2 / 3)
    assert EdgeF1().score(page, page) == 1 and EdgeF1().score(page, line) == 0
