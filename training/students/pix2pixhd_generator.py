"""The global generator of Pix2PixHD (Wang et al. 2018, 3.1).

B: pictures, C: channels, H, W: pixels, divisible by 2 ** downs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

INITIAL_STD = 0.02  # of convolution weights, as in pix2pix


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of a generator, and how it resizes.

    Attributes:
        width: channels at full resolution.
        downs: number of stride-2 convolutions, and of doublings after the blocks.
        blocks: residual blocks between.
        channels_in: of the picture.
        channels_out: of the sketch.
        upsampling: "transposed" convolutions with zeros around every halving, as published; or
            "resize", nearest neighbours and then a convolution, padded by reflection
            everywhere, which weaves less of a grid into flat paper (docs/results.md, "The weave").
    """

    width: int = 64
    downs: int = 4
    blocks: int = 9
    channels_in: int = 3
    channels_out: int = 1
    upsampling: Literal["transposed", "resize"] = "transposed"

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be divisible by."""
        return 2**self.downs


class ResidualBlock(nn.Module):
    """x + two reflected 3x3 convolutions with instance norm, the first followed by ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_conv_norm(channels, channels, padded=1),
            nn.ReLU(inplace=True),
            *_conv_norm(channels, channels, padded=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.layers(x)


class GlobalGenerator(nn.Module):
    """Picture -> sketch: 7x7, `downs` halvings, residual blocks, as many doublings, 7x7, tanh.

    The biases in front of an instance norm without affine have no effect; they are kept because
    the published network, its parameter count and its weights have them.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.downs + 1)]
        layers: list[nn.Module] = [
            *_conv_norm(config.channels_in, config.width, padded=3),
            nn.ReLU(inplace=True),
        ]
        for narrow, wide in zip(widths, widths[1:], strict=False):
            layers += [
                _halving(config, narrow, wide),
                nn.InstanceNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
        layers += [ResidualBlock(widths[-1]) for _ in range(config.blocks)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [
                *_doubling(config, wide, narrow),
                nn.InstanceNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        layers += [
            nn.ReflectionPad2d(3),
            nn.Conv2d(config.width, config.channels_out, 7),
            nn.Tanh(),
        ]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> sketches (B, 1, H, W) in [-1, 1], 1 = paper."""
        return self.layers(images)

    def sections(self) -> list[nn.Module]:
        """Divide the layers into sections, one after the other: halvings, each block, doublings."""
        blocks = [n for n, layer in enumerate(self.layers) if isinstance(layer, ResidualBlock)]
        first, after = blocks[0], blocks[-1] + 1
        return [self.layers[:first], *self.layers[first:after], self.layers[after:]]


def initialise(module: nn.Module) -> None:
    """Draw the weights of a convolution from N(0, 0.02); other modules are left alone."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INITIAL_STD)


def _halving(config: GeneratorConfig, narrow: int, wide: int) -> nn.Module:
    padding: Literal["zeros", "reflect"] = "reflect" if config.upsampling == "resize" else "zeros"
    return nn.Conv2d(narrow, wide, 3, stride=2, padding=1, padding_mode=padding)


def _doubling(config: GeneratorConfig, wide: int, narrow: int) -> list[nn.Module]:
    if config.upsampling == "transposed":
        return [nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1)]
    return [
        nn.Upsample(scale_factor=2),
        nn.Conv2d(wide, narrow, 3, padding=1, padding_mode="reflect"),
    ]


def _conv_norm(channels_in: int, channels_out: int, padded: int) -> list[nn.Module]:
    return [
        nn.ReflectionPad2d(padded),
        nn.Conv2d(channels_in, channels_out, 2 * padded + 1),
        nn.InstanceNorm2d(channels_out),
    ]
