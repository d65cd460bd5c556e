"""Equations 1 and 2 written out, slowly: one layer, one step, one branch, one image at a time.

Features are upsampled before anything touches them, as the paper has it; only the generator's named
parameters are shared with the code under test.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.diffusion.taps import Taps
from pipeline.gsketch.network import GSketch


def draw(generator: GSketch, taps: Taps, images: Tensor) -> Tensor:
    """Draw sketches (B, 1, H, W) by the equations."""
    named = dict(generator.named_parameters())
    rows = []
    for image in range(len(images)):
        branches = [
            _final(generator, named, taps, image, branch)
            for branch in range(generator.config.shapes.branches)
        ]
        features = [v[image : image + 1] for v in taps.vae]
        rows.append(_decode(named, torch.cat(branches, 1), features, images[image : image + 1]))
    return torch.cat(rows)


def _final(
    generator: GSketch, named: Mapping[str, Tensor], taps: Taps, image: int, branch: int
) -> Tensor:
    shapes, steps = generator.config.shapes, generator.config.timesteps
    layers, middle = len(shapes.unet), shapes.first_level
    md, tp = shapes.unet[middle - 1][1], shapes.unet[-1][1]
    first_logits = [
        named["aggregation.logits_first"][layer, s]
        for layer in range(middle)
        for s in range(len(steps))
    ]
    first_sum = sum(x.exp() for x in first_logits)
    final_logits = [
        named["aggregation.logits_final"][layer - middle, s]
        for layer in range(middle, layers)
        for s in range(len(steps))
    ] + list(named["aggregation.logits_parts"])
    final_sum = sum(x.exp() for x in final_logits)
    f_fst: Tensor | float = 0.0
    for s, t in enumerate(steps):
        for layer in range(middle):
            w = named["aggregation.logits_first"][layer, s].exp() / first_sum
            f = taps.unet[t][layer][image : image + 1, branch]
            f_fst = f_fst + w * _bottleneck(named, layer, _bilinear(f, md))
    f_fin: Tensor | float = 0.0
    for s, t in enumerate(steps):
        for layer in range(middle, layers):
            w = named["aggregation.logits_final"][layer - middle, s].exp() / final_sum
            f = taps.unet[t][layer][image : image + 1, branch]
            f_fin = f_fin + w * _bottleneck(named, layer, _bilinear(f, tp))
    third = f_fst.shape[1] // (layers - middle)
    for k in range(layers - middle):
        w = named["aggregation.logits_parts"][k].exp() / final_sum
        part = f_fst[:, k * third : (k + 1) * third]
        f_fin = f_fin + w * _bottleneck(named, middle + k, _bilinear(part, tp))
    return f_fin


def _bilinear(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def _bottleneck(named: Mapping[str, Tensor], layer: int, x: Tensor) -> Tensor:
    def conv(name: str, y: Tensor) -> Tensor:
        weight = named[f"aggregation.bottlenecks.{layer}.{name}.weight"]
        return F.conv2d(y, weight, padding=weight.shape[-1] // 2)

    def normed(name: str, y: Tensor) -> Tensor:
        key = f"aggregation.bottlenecks.{layer}.{name}"
        return _group_norm(y, named[f"{key}.weight"], named[f"{key}.bias"])

    y = torch.relu(normed("norm_reduce", conv("reduce", x)))
    y = torch.relu(normed("norm_conv", conv("conv", y)))
    y = normed("norm_expand", conv("expand", y))
    return torch.relu(y + normed("norm_shortcut", conv("shortcut", x)))


def _group_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    channels = x.shape[1]
    groups = max(g for g in range(1, 33) if channels % g == 0 and g * 4 <= max(channels, 4))
    y = torch.empty_like(x)
    size = channels // groups
    for g in range(groups):
        part = x[:, g * size : (g + 1) * size]
        centred = part - part.mean()
        y[:, g * size : (g + 1) * size] = centred / (centred.square().mean() + 1e-5).sqrt()
    return y * weight[None, :, None, None] + bias[None, :, None, None]


def _block(named: Mapping[str, Tensor], key: str, x: Tensor) -> Tensor:
    x = F.conv2d(x, named[f"{key}.conv.weight"], named[f"{key}.conv.bias"], padding=1)
    return F.gelu(_group_norm(x, named[f"{key}.norm.weight"], named[f"{key}.norm.bias"]))


def _decode(
    named: Mapping[str, Tensor], x: Tensor, features: list[Tensor], image: Tensor
) -> Tensor:
    stage = 0
    while True:
        reduced = []
        for n, v in enumerate(features):
            if v.shape[-1] == x.shape[-1] and f"decoder.reductions.{n}.reduce.weight" in named:
                key = f"decoder.reductions.{n}"
                v = F.conv2d(v, named[f"{key}.reduce.weight"], named[f"{key}.reduce.bias"])
                reduced.append(_block(named, key, v))
        if x.shape[-1] == image.shape[-1]:
            x = _block(named, "decoder.output", torch.cat([*reduced, x, image], 1))
            last = "decoder.output.last"
            x = F.conv2d(x, named[f"{last}.weight"], named[f"{last}.bias"])
            return 1 / (1 + (-x).exp())
        x = torch.cat([*reduced, x], 1)
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = _block(named, f"decoder.fusions.{stage}", x)
        stage += 1
