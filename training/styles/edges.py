"""The learned edge style: soft boundaries from a small holistically nested network.

After Xie and Tu, "Holistically-Nested Edge Detection" (2015): every scale gives an edge map of its
own and all are fused. Here each scale also gets the coarser ones' features, which tell contour from
texture. Shapes: B batch, C channels, H, W pixels, K scales, strides 1, 2, 4, 8, 16.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.arrays import Pixels, check_picture
from pipeline.pixels import signed_from_uint8
from pipeline.whole_file import write_tensors, write_text

SHIPPED = Path(__file__).parents[1] / "embedded" / "weights" / "edges"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
WIDTHS = (16, 24, 32, 48, 64)
NESTED = 16  # channels in which one scale hands its features to the next
STRIDE = 16
MARGIN = 16  # mirrored pixels around a picture, so that no line appears at its border
REACH = 192  # more pixels than a line depends on in any direction, a multiple of the stride
BAND_PIXELS = 1 << 20
BALANCE = 7.4  # odds of a boundary, as trained, that are drawn as even odds
FAINTEST, FULL = 0.05, 0.9  # likelihoods drawn as white and as black


class EdgesError(ValueError):
    """Weights of the edge style are missing or are not those of its network."""


class EdgeNetwork(nn.Module):
    """Stages of two convolutions, each half as fine, with an edge map at each side, and fusion."""

    def __init__(self, widths: Sequence[int] = WIDTHS, nested: int = NESTED) -> None:
        super().__init__()
        self.widths, self.nested = tuple(widths), nested
        inputs = (3, *self.widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(_convolution(i, o), nn.ReLU(), _convolution(o, o), nn.ReLU())
            for i, o in zip(inputs, self.widths, strict=True)
        )
        self.laterals = nn.ModuleList(_convolution(width, nested, 1) for width in self.widths)
        self.merges = nn.ModuleList(_convolution(nested, nested) for _ in self.widths)
        self.sides = nn.ModuleList(_convolution(nested, 1, 1) for _ in self.widths)
        self.fusion = _convolution(len(self.widths), 1, 1)
        nn.init.constant_(self.fusion.weight, 1 / len(self.widths))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Find boundaries.

        Args:
            pictures: (B, 3, H, W) in [-1, 1], H and W multiples of 16.

        Returns:
            Logits, fused (B, 1, H, W) and at the sides (B, K, H, W).
        """
        features, x = [], pictures
        for k, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if k else x)
            features.append(x)
        maps: list[Tensor] = []
        above: Tensor | None = None
        for k in reversed(range(len(self.widths))):
            here = self.laterals[k](features[k])
            here = here if above is None else here + _doubled(above)
            above = F.relu(self.merges[k](here))
            side = self.sides[k](above)
            for _ in range(k):
                side = _doubled(side)
            maps.insert(0, side)
        sides = torch.cat(maps, dim=1)  # (B, K, H, W)
        return self.fusion(sides), sides


def to_network(pictures: Tensor) -> Tensor:
    """Bring pictures to the network's input: uint8 (B, H, W, 3) -> (B, 3, H, W) in [-1, 1].

    They stay channels last in memory, in which CPUs convolve faster (docs/results.md).
    """
    return signed_from_uint8(pictures.permute(0, 3, 1, 2))


@torch.inference_mode()
def edge_strength(network: EdgeNetwork, picture: Pixels) -> NDArray[np.float32]:
    """Find how likely each pixel of a picture of any size is a boundary.

    Args:
        picture: uint8 (H, W, 3).

    Returns:
        Logits, float32 (H, W).

    Raises:
        ValueError: the picture has another type or shape.
    """
    check_picture(picture)
    height, width = picture.shape[:2]
    bottom, right = (MARGIN + -length % STRIDE for length in (height, width))
    mirrored = np.pad(picture, ((MARGIN, bottom), (MARGIN, right), (0, 0)), mode="symmetric")
    strength = np.concatenate(list(_in_bands(network, mirrored)))
    return strength[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def draw_edges(network: EdgeNetwork, picture: Pixels) -> Pixels:
    """Draw soft boundaries: uint8 (H, W, 3) -> uint8 (H, W), 255 = paper.

    Training weights boundaries up, so that even odds are not a boundary yet: the drawing
    divides the odds by BALANCE, and leaves what is faint as white paper.
    """
    share = 1 / (1 + BALANCE * np.exp(-edge_strength(network, picture)))
    ink = (share - FAINTEST) / (FULL - FAINTEST)
    return np.rint(255 * (1 - np.clip(ink, 0, 1))).astype(np.uint8)


def save_edges(network: EdgeNetwork, folder: Path) -> None:
    """Write the network's weights, in half precision, and its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    write_tensors(folder / WEIGHTS, weights)
    config = {"network": "nested edges", "widths": network.widths, "nested": network.nested}
    write_text(folder / CONFIG, json.dumps(config) + "\n")


def load_edges(folder: Path) -> EdgeNetwork:
    """Load the network from a folder that `save_edges` wrote.

    Raises:
        EdgesError: the folder is not whole, or holds another network.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise EdgesError(
            f"edge style: {folder} lacks {' and '.join(missing)}; "
            "`onesketch train-embedded` writes them"
        )
    try:
        config = json.loads((folder / CONFIG).read_text())
        network = EdgeNetwork(config["widths"], config["nested"])
        weights = load_file(folder / WEIGHTS)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise EdgesError(
            f"edge style: {folder} does not hold this version's network; make it again with "
            f"`onesketch train-embedded`: {error}"
        ) from error
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def shipped_edges() -> EdgeNetwork:
    """Load the network that comes with the package, once in a process."""
    return load_edges(SHIPPED)


def _convolution(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    """Build a convolution that keeps the size and repeats the border: zeros would be an edge."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _doubled(x: Tensor) -> Tensor:
    """Double the size by bilinear interpolation: (B, C, H, W) -> (B, C, 2 H, 2 W)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _in_bands(network: EdgeNetwork, picture: Pixels) -> Iterator[NDArray[np.float32]]:
    """Yield the logits of one band of rows after another, so that memory does not grow with them.

    Each band sees as much beyond its edges as a line can depend on: the bands fit exactly.
    """
    device = next(network.parameters()).device
    height, width = picture.shape[:2]
    rows = max(STRIDE, BAND_PIXELS // width // STRIDE * STRIDE)
    for top in range(0, height, rows):
        first, last = max(0, top - REACH), min(height, top + rows + REACH)
        fused, _ = network(to_network(torch.from_numpy(picture[first:last])[None].to(device)))
        yield fused[0, 0, top - first : top - first + rows].cpu().numpy()
