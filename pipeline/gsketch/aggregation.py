"""Two-level aggregation of UNet features over layers and steps (DiffSketch 3.2, equation 1).

Shapes: S steps, B images, N = branches x B UNet rows, C channels, h x w pixels; f_{l,t} is the
feature of layer l at step t. Layers are numbered from 0 here; the first l_md of them make the first
level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.diffusion.taps import TapShapes


def groups_of(channels: int) -> int:
    """Return a group norm's number of groups: the largest divisor up to 32 with 4 channels each.

    Some widths, such as 240 = 960 / 4, are not multiples of 32.
    """
    limit = max(1, min(32, channels // 4))
    return max(g for g in range(1, limit + 1) if channels % g == 0)


def norm(channels: int) -> nn.GroupNorm:
    """Return the group norm that G_sketch uses at this width."""
    return nn.GroupNorm(groups_of(channels), channels)


class Bottleneck(nn.Module):
    """B_l: 1x1, 3x3 and 1x1 convolutions with group norm, a normalised 1x1 shortcut, ReLU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        middle = max(8, width // 4)
        self.reduce = nn.Conv2d(channels, middle, 1, bias=False)
        self.norm_reduce = norm(middle)
        self.conv = nn.Conv2d(middle, middle, 3, padding=1, bias=False)
        self.norm_conv = norm(middle)
        self.expand = nn.Conv2d(middle, width, 1, bias=False)
        self.norm_expand = norm(width)
        self.shortcut = nn.Conv2d(channels, width, 1, bias=False)
        self.norm_shortcut = norm(width)

    def forward(self, f: Tensor, size: tuple[int, int]) -> Tensor:
        """Compute B_l(U(f)) for f (N, C, h, w): (N, width, *size).

        U comes after the 1x1 convolutions: both are linear, and one acts on channels, the other on
        pixels, so that they commute and the convolutions see fewer pixels.
        """
        x = self.norm_reduce(upsample(self.reduce(f), size)).relu_()
        x = self.norm_conv(self.conv(x)).relu_()
        x = self.norm_expand(self.expand(x))
        return x.add_(self.norm_shortcut(upsample(self.shortcut(f), size))).relu_()


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w) to `size` bilinearly: U_md and U_tp."""
    if x.shape[-2:] == size:
        return x
    if x.is_cuda:
        # Of the other layout torch's kernel leaves most of a GPU idle (docs/results.md).
        x = x.contiguous(memory_format=torch.channels_last)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Sums:
    """Weighted sums over the steps seen so far: F_fst (N, C, h, w) and the first part of F_fin."""

    first: Tensor
    final: Tensor


class Aggregation(nn.Module):
    """G_sketch's first half: taps of all chosen steps -> F_fin.

    Widths: F_fst has (L - l_md) parts of the top level's channels, so that part l can pass through
    B_l (960 = 3 x 320 in Stable Diffusion); F_fin has 1.2 times those channels rounded to a
    multiple of 8 (384), and the branches of guidance are concatenated (2 x 384).
    """

    def __init__(self, shapes: TapShapes, timesteps: Sequence[int]) -> None:
        super().__init__()
        self.timesteps = tuple(timesteps)
        self.branches = shapes.branches
        self.first_level = shapes.first_level
        self.first_size = shapes.unet[shapes.first_level - 1][1:]
        self.final_size = shapes.unet[-1][1:]
        upper = shapes.unet[shapes.first_level :]
        top = shapes.unet[-1][0]
        widths = [top * len(upper)] * self.first_level
        widths += [max(8, 8 * round(1.2 * top / 8))] * len(upper)
        self.out_channels = self.branches * widths[-1]
        self.bottlenecks = nn.ModuleList(
            Bottleneck(channels, width)
            for (channels, _, _), width in zip(shapes.unet, widths, strict=True)
        )
        steps = len(self.timesteps)
        # Before the softmax: w_{l,t} of each level, and w_l of the last sum in equation 1.
        self.logits_first = nn.Parameter(torch.zeros(self.first_level, steps))
        self.logits_final = nn.Parameter(torch.zeros(len(upper), steps))
        self.logits_parts = nn.Parameter(torch.zeros(len(upper)))

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return w: (L, S) of all (layer, step) terms, and (L - l_md,) of F_fst's parts.

        One softmax over the first level's terms, one over all of the second level's: its (layer,
        step) terms and the parts of F_fst together (42 in Stable Diffusion).
        """
        first = self.logits_first.flatten().softmax(0).view_as(self.logits_first)
        joint = torch.cat([self.logits_final.flatten(), self.logits_parts]).softmax(0)
        final = joint[: self.logits_final.numel()].view_as(self.logits_final)
        return torch.cat([first, final]), joint[self.logits_final.numel() :]

    def forward(self, taps: Mapping[int, Sequence[Tensor]]) -> Tensor:
        """Compute F_fin from the taps of all chosen steps at once.

        Args:
            taps: the L features (B, branches, C_l, h_l, w_l) of every step; steps that were not
                chosen are ignored.

        Returns:
            (B, branches x width, h, w) at latent resolution.

        Raises:
            ValueError: a chosen step is missing.
        """
        return self.finish(self.accumulate({t: taps[t] for t in self._present(taps)}))

    def accumulate(self, taps: Mapping[int, Sequence[Tensor]], so_far: Sums | None = None) -> Sums:
        """Add the terms of some of the chosen steps, all steps in one call per layer.

        The weights do not depend on the taps, so that a step's taps can be consumed as soon as
        sampling has made them (streaming); the sum over the calls is the same.

        Args:
            taps: the L features (B, branches, C_l, h_l, w_l) of each step, chosen steps only.
            so_far: the sums that earlier calls returned.
        """
        w, _ = self.weights()
        rows = [self.timesteps.index(t) for t in taps]
        sums: list[Tensor | None] = [None, None] if so_far is None else [so_far.first, so_far.final]
        for layer, bottleneck in enumerate(self.bottlenecks):
            level = int(layer >= self.first_level)
            f = self._rows([features[layer] for features in taps.values()])  # (S N, C, h, w)
            b = bottleneck(f, self.final_size if level else self.first_size)
            term = _wide(torch.tensordot(w[layer, rows], b.unflatten(0, (len(rows), -1)), dims=1))
            before = sums[level]
            sums[level] = term if before is None else before + term
        first, final = sums
        assert first is not None and final is not None
        return Sums(first, final)

    def finish(self, sums: Sums) -> Tensor:
        """Add the parts of F_fst to the second level and concatenate the branches.

        Returns:
            (B, branches x width, h, w) at latent resolution.
        """
        _, w = self.weights()
        final = sums.final
        upper = self.bottlenecks[self.first_level :]
        parts = sums.first.to(w.dtype).chunk(len(upper), 1)
        for w_l, bottleneck, part in zip(w, upper, parts, strict=True):
            final = final + _wide(w_l * bottleneck(part, self.final_size))
        rows = final.to(w.dtype).unflatten(0, (self.branches, -1))
        return rows.transpose(0, 1).flatten(1, 2)  # (B, branches C, h, w)

    def _rows(self, features: list[Tensor]) -> Tensor:
        # Branches first, as the UNet returns them: streaming then needs no copy.
        rows = [f.transpose(0, 1).flatten(0, 1) for f in features]
        stacked = rows[0] if len(rows) == 1 else torch.cat(rows)
        return stacked.to(self.logits_first.dtype)

    def _present(self, taps: Mapping[int, Sequence[Tensor]]) -> tuple[int, ...]:
        missing = [t for t in self.timesteps if t not in taps]
        if missing:
            raise ValueError(
                f"G_sketch needs taps of the steps {list(self.timesteps)} (0 = last); "
                f"{missing} are missing: sample with these steps"
            )
        return self.timesteps


def _wide(x: Tensor) -> Tensor:
    # Sums of many small terms need at least float32, whatever the network computes in.
    return x.to(torch.promote_types(x.dtype, torch.float32))
