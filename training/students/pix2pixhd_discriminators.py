"""Multi-scale patch discriminators of Pix2PixHD (Wang et al. 2018, 3.2).

B: pairs, C: channels of image and sketch together, H, W: pixels; C_k, h_k, w_k: of feature map k.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.students.pix2pixhd_generator import initialise

KERNEL, PADDING = 4, 2
LEAK = 0.2
WIDEST = 8  # channels grow to this many times the first layer's


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of the discriminators: first channels, strided layers, scales, input channels."""

    width: int = 64
    layers: int = 3
    scales: int = 2
    channels_in: int = 4


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches; gives every intermediate map for feature matching."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [config.width * min(2**k, WIDEST) for k in range(config.layers + 1)]
        stages = [nn.Sequential(_conv(config.channels_in, widths[0], stride=2), nn.LeakyReLU(LEAK))]
        for k, (narrow, wide) in enumerate(zip(widths, widths[1:], strict=False), start=1):
            stride = 2 if k < config.layers else 1
            stages.append(
                nn.Sequential(
                    _conv(narrow, wide, stride), nn.InstanceNorm2d(wide), nn.LeakyReLU(LEAK)
                )
            )
        stages.append(nn.Sequential(_conv(widths[-1], 1, stride=1)))
        self.stages = nn.ModuleList(stages)

    def forward(self, pairs: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> layers + 2 maps (B, C_k, h_k, w_k); the last is the scores, C_k = 1."""
        maps = []
        x = pairs
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class MultiScaleDiscriminators(nn.Module):
    """Equal discriminators, each on the pair at half the resolution of the one before."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(config.scales))
        self.apply(initialise)

    def forward(self, images: Tensor, sketches: Tensor) -> list[list[Tensor]]:
        """Images (B, 3, H, W) and sketches (B, 1, H, W) in [-1, 1] -> each scale's maps."""
        pairs = torch.cat([images, sketches], dim=1)
        maps = []
        for number, discriminator in enumerate(self.scales):
            if number:
                pairs = F.avg_pool2d(pairs, 3, stride=2, padding=1, count_include_pad=False)
            maps.append(discriminator(pairs))
        return maps


def _conv(channels_in: int, channels_out: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, KERNEL, stride=stride, padding=PADDING)
