"""Feature-fusing decoder: F_fin, VAE features and the image -> sketch (DiffSketch 3.3, equation 2).

Shapes: B images, C channels, h x w pixels; v_n is the VAE decoder's n-th feature, M the number of
fusing stages (3 in Stable Diffusion: 64 -> 128 -> 256 -> 512 px).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.aggregation import norm

# Channels of Stable Diffusion's finest VAE features, for which the paper gives its widths.
_PAPER_FINEST = 128
_PAPER_REDUCTION = (16, 16, 8, 8)
_PAPER_STAGES = (256, 128, 64)
_LEAST_REDUCTION = 8
_LEAST_STAGE = 32


def scaled_width(paper: int, finest: int, least: int) -> int:
    """Scale a width of the paper by the channels of the VAE's finest features over 128.

    The result is a multiple of 8 and at least `least` (or the paper's width, if that is less): a
    few channels at full resolution cost little, and lines are lost without them.
    """
    return max(min(least, paper), 8 * round(paper * finest / _PAPER_FINEST / 8))


class Reduction(nn.Module):
    """Conv(CH(v)): 1x1 channel reduction, then 3x3 convolution, group norm, GELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 1)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = norm(width)

    def forward(self, v: Tensor) -> Tensor:
        """Compute Conv(CH(v)): (B, C, h, w) -> (B, width, h, w)."""
        return F.gelu(self.norm(self.conv(self.reduce(v))))


class Fusion(nn.Module):
    """FUSE: nearest x2, 3x3 convolution, group norm, GELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Compute FUSE(x): (B, C, h, w) -> (B, width, 2 h, 2 w)."""
        return F.gelu(self.norm(doubled_conv(x, self.conv)))


def doubled_conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Compute conv(nearest x2 of x) for a padded 3x3 convolution, with 4/9 of its products.

    Some of the 3x3 pixels under the kernel are copies of the same pixel of x. Adding up their
    weights first gives a stride-2 transposed convolution whose 4x4 kernel is the 3x3 one summed
    over its four shifts.
    """
    w = conv.weight
    summed = sum(F.pad(w, (left, 1 - left, top, 1 - top)) for left in (0, 1) for top in (0, 1))
    kernel = summed.flip(-1, -2).transpose(0, 1)  # type: ignore[union-attr]
    return F.conv_transpose2d(x, kernel, conv.bias, stride=2, padding=1)


class Output(nn.Module):
    """OUT: 3x3 convolution block, then 1x1 to one channel."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = norm(width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute OUT(x): (B, C, H, W) -> (B, 1, H, W) in (0, 1), 1 = paper.

        A sigmoid, because the losses and CLIP expect [0, 1] and a clamp has no gradient where the
        page is white already, which is most of it.
        """
        return self.last(F.gelu(self.norm(self.conv(x)))).sigmoid()


class Decoder(nn.Module):
    """G_sketch's second half; without VAE features (ablation) it sees only F_fin and the image."""

    def __init__(self, channels: int, shapes: TapShapes, vae_features: bool) -> None:
        super().__init__()
        sizes = sorted({size for _, size, _ in shapes.vae})
        finest = shapes.vae[-1][0]
        # Indices of the features of each stage, coarse to fine: 5, 3, 3, 3 in Stable Diffusion.
        self.members = [
            [n for n, (_, s, _) in enumerate(shapes.vae) if s == size and vae_features]
            for size in sizes
        ]
        reductions = _per_stage(_PAPER_REDUCTION, len(sizes), finest, _LEAST_REDUCTION)
        widths = _per_stage(_PAPER_STAGES, len(sizes) - 1, finest, _LEAST_STAGE)
        width_of = {n: r for r, ns in zip(reductions, self.members, strict=True) for n in ns}
        self.reductions = nn.ModuleList(
            Reduction(shapes.vae[n][0], width_of[n]) for n in sorted(width_of)
        )
        extra = [r * len(ns) for r, ns in zip(reductions, self.members, strict=True)]
        inputs = [channels, *widths]
        self.fusions = nn.ModuleList(
            Fusion(c + e, width) for c, e, width in zip(inputs, extra, widths, strict=False)
        )
        self.output = Output(inputs[-1] + extra[-1] + 3, inputs[-1])

    def reduce(self, n: int, v: Tensor) -> Tensor:
        """Pass v_n (B, C_n, h_n, w_n) through its reduction.

        It can be called while the VAE is still decoding, so that v_n need not be kept.
        """
        return self.reductions[n](v.to(self.output.last.weight.dtype))

    def forward(self, x: Tensor, reduced: Sequence[Tensor], images: Tensor) -> Tensor:
        """Fuse F_fin, reduced VAE features and the image (equation 2).

        Args:
            x: F_fin, (B, C, h, w) at latent resolution.
            reduced: what `reduce` returns for each v_n, in order; empty without VAE features.
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, 1, H, W) in [0, 1], 1 = paper.
        """
        for fusion, members in zip(self.fusions, self.members[:-1], strict=True):
            x = fusion(torch.cat([*(reduced[n] for n in members), x], 1))
        finest = [reduced[n] for n in self.members[-1]]
        return self.output(torch.cat([*finest, x, images.to(x.dtype)], 1))


def _per_stage(paper: tuple[int, ...], count: int, finest: int, least: int) -> list[int]:
    # A VAE with more stages repeats the coarsest width; one with fewer drops it.
    padded = (paper[0],) * max(0, count - len(paper)) + paper
    return [scaled_width(width, finest, least) for width in padded[len(padded) - count :]]
