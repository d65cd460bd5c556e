"""Strips against the whole picture, on every layer that they know."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.extraction.strips import Layered, Limits, Moments, StripRunner
from training.students.pix2pixhd_generator import GeneratorConfig, GlobalGenerator

# Strips of one row up to whole maps, with every map kept and with none.
LIMITS = [Limits(), Limits(0, 1), Limits(0, 30_000), Limits(100_000, 30_000), Limits(2**30, 1)]


def in_strips(layers: nn.Sequential, x: Tensor, limits: Limits) -> Tensor:
    strips = StripRunner(layers, limits).run(
        lambda start, stop: x[:, :, start:stop].clone(), tuple(x.shape[2:]), lambda share: None
    )
    return torch.cat(list(strips), 2)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("size", [(64, 96), (200, 136), (48, 16)])
def test_strips_equal_the_whole(limits: Limits, upsampling: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = GlobalGenerator(GeneratorConfig(4, downs=3, blocks=2, upsampling=upsampling)).eval()
    x = torch.rand(1, 3, *size) * 2 - 1
    assert isinstance(network, Layered)
    with torch.no_grad():
        torch.testing.assert_close(
            in_strips(network.layers, x, limits), network(x), atol=2e-5, rtol=0
        )


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(2, 3, 3)],
        [nn.Conv2d(2, 3, 5, padding=2)],
        [nn.Conv2d(2, 3, 7, padding=3, padding_mode="reflect")],
        [nn.Conv2d(2, 3, 4, stride=2, padding=1)],
        [nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode="reflect"), nn.Conv2d(3, 2, 3)],
        [nn.ReflectionPad2d(4), nn.Conv2d(2, 3, 9), nn.Tanh()],
        [nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)],
        [nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), nn.Conv2d(3, 2, 3, padding=1)],
        [nn.ConvTranspose2d(2, 3, 5, stride=3, padding=0)],
        [nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")],
        [nn.Upsample(scale_factor=3), nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3)],
        [nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(7), nn.Conv2d(3, 2, 3)],  # needs a whole map
    ],
    ids=lambda layers: " ".join(type(layer).__name__ for layer in layers),
)
@pytest.mark.parametrize("size", [(16, 12), (25, 18)])
def test_every_layer_in_single_rows(layers: list[nn.Module], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, sequence = torch.randn(1, 2, *size), nn.Sequential(*layers)
    with torch.no_grad():
        torch.testing.assert_close(in_strips(sequence, x, Limits(0, 1)), sequence(x))


def test_moments_are_those_of_the_whole_map() -> None:
    # Far from zero, where sums of squares would lose what is looked for.
    x = np.random.default_rng(0).normal(1000, 0.1, (1, 3, 50, 7)).astype(np.float32)
    moments = Moments(3)
    for start, stop in ((0, 1), (1, 20), (20, 50)):
        moments.add(torch.from_numpy(x[:, :, start:stop]))
    normal = moments.norm(1e-5)(torch.from_numpy(x))[0].double().numpy()
    wide = x[0].astype(np.float64)
    mean, variance = wide.mean((1, 2), keepdims=True), wide.var((1, 2), keepdims=True)
    np.testing.assert_allclose(normal, (wide - mean) / np.sqrt(variance + 1e-5), atol=2e-3)


def test_it_tells_how_much_is_done() -> None:
    network = GlobalGenerator(GeneratorConfig(4, downs=2, blocks=1))
    x, shares = torch.rand(1, 3, 64, 64), list[float]()
    runner = StripRunner(network.layers, Limits(0, 4096))
    list(runner.run(lambda start, stop: x[:, :, start:stop].clone(), (64, 64), shares.append))
    assert shares == sorted(shares) and shares[-1] == 1 and len(shares) > 20


_MEASURE = """
import numpy as np, torch
from training.extraction.extractor import Extractor
from training.students.pix2pixhd_generator import GeneratorConfig, GlobalGenerator

def peak_kib():
    # Not getrusage: a new process begins with its parent's peak.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
network = GlobalGenerator(GeneratorConfig(8, downs=2, blocks=1, upsampling="resize"))
extractor = Extractor(network, 16, {"multiple": 4}, "cpu", torch.float32)
picture = np.random.default_rng(0).integers(0, 256, (1024, SIDE, 3), np.uint8)
extractor.sketch(picture[:, :1024])
before = peak_kib()
extractor.sketch(picture)
print((peak_kib() - before) // 1024)
"""


def test_memory_does_not_grow_as_the_picture_does() -> None:
    """Six megapixels take no more than kept maps and strips, over what one megapixel took."""
    code = _MEASURE.replace("SIDE", str(6 * 1024))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    # 8 channels of 6 megapixels are 192 MiB; the whole at once takes more than a GiB.
    assert int(done.stdout) < 550, f"{done.stdout} MiB"
