"""The learned edge style: soft boundaries from a small holistically nested network.

After Xie and Tu, "Holistically-Nested Edge Detection" (2015): every scale gives an edge map of its
own and all are fused. Here each scale also hears from the coarser ones, which tell contour from
texture. Shapes: B batch, C channels, H, W pixels, K scales, strides 1, 2, 4, 8, 16.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pipeline.pixels import signed_from_uint8
from pipeline.whole_file import write_tensors, write_text

SHIPPED = Path(__file__).parents[1] / "embedded" / "weights" / "edges"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
WIDTHS = (16, 24, 32, 48, 64)
NESTED = 16  # channels in which the scales speak to each other
STRIDE = 16
MARGIN = 16  # mirrored pixels around a picture, so that no line is born at its border
REACH = 192  # more pixels than a line depends on in any direction, a multiple of the stride
BAND_PIXELS = 1 << 20
BALANCE = 7.4  # odds of a boundary, as trained, that are even in the drawing
FAINTEST, FULL = 0.05, 0.9  # likelihoods drawn as white and as black


class EdgesError(ValueError):
    """Weights of the edge style are missing or are not those of its network."""


def convolution(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size and continues the border: zeros would look like an edge."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def doubled(x: Tensor) -> Tensor:
    """Twice the size by bilinear interpolation: (B, C, H, W) -> (B, C, 2 H, 2 W)."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class EdgeNetwork(nn.Module):
    """Stages of two convolutions, each half as fine, with an edge map at each side, and fusion."""

    def __init__(self, widths: Sequence[int] = WIDTHS, nested: int = NESTED) -> None:
        super().__init__()
        self.widths, self.nested = tuple(widths), nested
        inputs = (3, *self.widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(i, o), nn.ReLU(), convolution(o, o), nn.ReLU())
            for i, o in zip(inputs, self.widths, strict=True)
        )
        self.laterals = nn.ModuleList(convolution(width, nested, 1) for width in self.widths)
        self.merges = nn.ModuleList(convolution(nested, nested) for _ in self.widths)
        self.sides = nn.ModuleList(convolution(nested, 1, 1) for _ in self.widths)
        self.fusion = convolution(len(self.widths), 1, 1)
        nn.init.constant_(self.fusion.weight, 1 / len(self.widths))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [-1, 1] -> logits fused (B, 1, H, W) and at the sides (B, K, H, W).

        H and W are multiples of 16.
        """
        features, x = [], pictures
        for k, stage in enumerate(self.stages):
            x = stage(functional.max_pool2d(x, 2) if k else x)
            features.append(x)
        maps: list[Tensor] = []
        above: Tensor | None = None
        for k in reversed(range(len(self.widths))):
            here = self.laterals[k](features[k])
            here = here if above is None else here + doubled(above)
            above = functional.relu(self.merges[k](here))
            side = self.sides[k](above)
            for _ in range(k):
                side = doubled(side)
            maps.insert(0, side)
        sides = torch.cat(maps, dim=1)  # (B, K, H, W)
        return self.fusion(sides), sides


def to_network(pictures: Tensor) -> Tensor:
    """Pictures as the network takes them: uint8 (B, H, W, 3) -> float (B, 3, H, W) in [-1, 1].

    They stay channels last in memory, which makes the convolutions twice as fast on CPUs.
    """
    return signed_from_uint8(pictures.permute(0, 3, 1, 2))


@torch.inference_mode()
def edge_strength(network: EdgeNetwork, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of a boundary at each pixel: uint8 (H, W, 3) -> float32 (H, W).

    Any size; ValueError for a picture in another form.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"expected a picture uint8 (H, W, 3), got {picture.dtype} "
            f"{picture.shape}; convert it to RGB first"
        )
    height, width = picture.shape[:2]
    bottom, right = (MARGIN + -length % STRIDE for length in (height, width))
    mirrored = np.pad(picture, ((MARGIN, bottom), (MARGIN, right), (0, 0)), mode="symmetric")
    strength = np.concatenate(list(in_bands(network, mirrored)))
    return strength[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def in_bands(network: EdgeNetwork, picture: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Logits of one band of rows after another, so that memory does not grow with the picture.

    Each band sees as much beyond its edges as a line can depend on: the bands fit exactly.
    """
    device = next(network.parameters()).device
    height, width = picture.shape[:2]
    rows = max(STRIDE, BAND_PIXELS // width // STRIDE * STRIDE)
    for top in range(0, height, rows):
        first, last = max(0, top - REACH), min(height, top + rows + REACH)
        fused, _ = network(to_network(torch.from_numpy(picture[first:last])[None].to(device)))
        yield fused[0, 0, top - first : top - first + rows].cpu().numpy()


def draw_edges(network: EdgeNetwork, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A drawing of soft boundaries: uint8 (H, W, 3) -> uint8 (H, W), 255 = paper.

    Training weighs boundaries up, so that a boundary with even odds is none yet: the drawing asks
    for BALANCE times as much, and leaves faint doubts as white paper.
    """
    share = 1 / (1 + BALANCE * np.exp(-edge_strength(network, picture)))
    ink = (share - FAINTEST) / (FULL - FAINTEST)
    return np.rint(255 * (1 - np.clip(ink, 0, 1))).astype(np.uint8)


def save_edges(network: EdgeNetwork, folder: Path) -> None:
    """Writes the network's weights, in half precision, and what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    write_tensors(folder / WEIGHTS, weights)
    config = {"network": "nested edges", "widths": network.widths, "nested": network.nested}
    write_text(folder / CONFIG, json.dumps(config) + "\n")


def load_edges(folder: Path) -> EdgeNetwork:
    """Opens a folder that save_edges wrote; EdgesError says what is missing or does not fit."""
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
    """The network that comes with the package, opened once a process."""
    return load_edges(SHIPPED)
