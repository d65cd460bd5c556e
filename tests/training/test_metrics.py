import numpy as np
import pytest
import scipy.ndimage
import torch

from tests.tiny_encoders import write_perceptual
from training.metrics import METRICS, Lpips, Ssim
from training.perceptual import load_perceptual


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory):
    return load_perceptual(write_perceptual(tmp_path_factory.mktemp("perceptual")))


def drawings(seed, side=40):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, size=(side, side), dtype=np.uint8) for _ in range(2)]


def literal_ssim(x, y):
    """Wang et al. 2004 with a Gaussian window of 11 pixels, mean over fully covered pixels."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    x, y = x.astype(float), y.astype(float)

    def mean(z):
        return scipy.ndimage.correlate(z, window)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()


def test_ssim_equals_the_definition():
    a, b = drawings(0)
    metric = Ssim()
    metric.update("one", a, b // 2 + a // 2)
    assert metric.compute() == pytest.approx(literal_ssim(a, b // 2 + a // 2), abs=1e-9)


def test_lpips_gives_the_networks_distance_at_its_range(perceptual):
    a, b = drawings(1)
    metric = Lpips(perceptual)
    metric.update("one", a, b)
    pictures = [torch.tensor(x, dtype=torch.float32)[None, None] / 255 * 2 - 1 for x in (a, b)]
    assert metric.compute() == pytest.approx(perceptual.distance(*pictures).item(), rel=1e-5)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_merges_to_what_one_worker_finds(name, perceptual):
    whole, left, right = (METRICS[name](perceptual) for _ in range(3))
    for i in range(4):
        a, b = drawings(i)
        whole.update(str(i), a, b)
        (left if i % 2 else right).update(str(i), a, b)
    left.merge(right)
    assert left.scores == whole.scores and left.compute() == pytest.approx(whole.compute())
    assert whole.name == name
    same, other = METRICS[name](perceptual), METRICS[name](perceptual)
    a, b = drawings(9)
    same.update("same", a, a)
    other.update("other", a, b)
    better = (other.compute() > same.compute()) == (whole.better == "lower")
    assert better, "an equal drawing must be the better one"


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_refuses_what_it_cannot_compare(name, perceptual):
    metric = METRICS[name](perceptual)
    a, b = drawings(0)
    with pytest.raises(ValueError, match="no picture"):
        metric.compute()
    with pytest.raises(ValueError, match="truth's size"):
        metric.update("x", a, b[:-1])
    with pytest.raises(ValueError, match="uint8"):
        metric.update("x", a / 255, b)
    metric.update("x", a, b)
    with pytest.raises(ValueError, match="already"):
        metric.update("x", a, b)
    with pytest.raises(ValueError, match="both scored"):
        metric.merge(metric)
