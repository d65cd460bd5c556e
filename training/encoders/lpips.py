"""Perceptual distance between pictures (LPIPS), with any trunk that is on this machine.

B: pictures, C: channels, H, W: pixels; C_k, h_k, w_k: of the trunk's slice k of 5.
The lpips package gives the trunks, the input scaling and the heads; weights come from files only.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from training.encoders.state_file import read_state

if TYPE_CHECKING:
    # Imported where they are used: torchvision costs a second that commands without a loss save.
    import lpips

NUM_SLICES = 5
SMALLEST_SIDE = 32  # below it AlexNet's second pooling has nothing left to pool
UNIT_EPSILON = 1e-10  # of the lpips package's channel normalisation


class PerceptualError(ValueError):
    """A perceptual network that was asked for is missing or cannot be read."""


@dataclass(frozen=True)
class Trunk:
    """Where torchvision keeps the ImageNet weights of one of LPIPS's trunks."""

    factory: str  # in torchvision.models
    cache_name: str  # in the torch hub cache


TRUNKS = {
    "alex": Trunk("alexnet", "alexnet-owt-7be5be79.pth"),
    "vgg": Trunk("vgg16", "vgg16-397923af.pth"),
}


class Perceptual(nn.Module):
    """A frozen LPIPS network: distances between pictures and the feature maps behind them.

    Attributes:
        label: where the weights come from ("embedded" or "real: ..."), for reports.
    """

    def __init__(self, network: lpips.LPIPS, label: str) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.label = label

    def train(self, mode: bool = True) -> Perceptual:
        """Stay in evaluation mode: lpips's heads hold dropout layers."""
        return super().train(False)

    def slices(self, x: Tensor) -> list[Tensor]:
        """Describe pictures by the maps after each stage.

        Args:
            x: (B, 1|3, H, W) in [-1, 1].

        Returns:
            Five maps (B, C_k, h_k, w_k).

        Raises:
            ValueError: the pictures have another shape or are too small.
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape[-2:]) < SMALLEST_SIDE:
            raise ValueError(
                f"expected pictures (B, 1 or 3, H, W) of at least {SMALLEST_SIDE} "
                f"pixels a side, got {tuple(x.shape)}"
            )
        scaled = self.network.scaling_layer(x.expand(-1, 3, -1, -1))
        return list(self.network.net(scaled))

    def between(self, slices_a: list[Tensor], slices_b: list[Tensor]) -> Tensor:
        """Measure LPIPS from slices that are at hand already: -> (B,), 0 for equal pictures."""
        distances = []
        for head, a, b in zip(self.network.lins, slices_a, slices_b, strict=True):
            difference = (_unit(a) - _unit(b)).square()  # (B, C_k, h_k, w_k)
            distances.append(head(difference).mean(dim=(1, 2, 3)))
        return torch.stack(distances).sum(dim=0)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Measure LPIPS between pictures (B, 1|3, H, W) in [-1, 1], grey repeated: -> (B,)."""
        return self.between(self.slices(a), self.slices(b))


def load_perceptual(location: str | Path, device: str | torch.device = "cpu") -> Perceptual:
    """Load a perceptual network from a local folder or file; nothing is ever downloaded.

    Args:
        location: a folder with config.json and model.safetensors (keys "features.N.weight|bias" of
            torchvision's AlexNet, optional heads "lin0.weight" to "lin4.weight" of
            (1, C_k, 1, 1)); "alex:FILE" or "vgg:FILE" with a torchvision state dict; "alex" or
            "vgg" alone to look in the torch hub cache.
        device: where the network goes.

    Raises:
        PerceptualError: it is missing or cannot be read; the message says what was looked for and
            how to get it.
    """
    text = str(location)
    if Path(text).is_dir():
        return _load_folder(Path(text)).to(device)
    name, _, file = text.partition(":")
    if name not in TRUNKS:
        raise PerceptualError(
            f"perceptual network {text!r}: no such folder. Expected a folder with config.json and "
            f"model.safetensors, or one of {sorted(TRUNKS)}, alone or as NAME:FILE"
        )
    return _load_trunk(name, file).to(device)


def _unit(x: Tensor) -> Tensor:
    # As lpips.normalize_tensor, but its sqrt has an infinite slope where all channels are zero,
    # which poisons the gradient of every flat region with NaN; vector_norm's slope there is 0.
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + UNIT_EPSILON)


def _load_folder(folder: Path) -> Perceptual:
    names = ("config.json", "model.safetensors")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PerceptualError(
            f"perceptual folder {folder} lacks {' and '.join(missing)}; the "
            "embedded network is written by `onesketch train-embedded`"
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = read_state(folder / "model.safetensors", PerceptualError)
    network = _empty_network(config.get("network", "alex"))
    heads = {k: w for k in range(NUM_SLICES) if (w := weights.get(f"lin{k}.weight")) is not None}
    if len(heads) not in (0, NUM_SLICES):
        raise PerceptualError(
            f"{folder}: expected heads for all {NUM_SLICES} slices or for none, "
            f"got them for {sorted(heads)}"
        )
    if not heads:
        # Without calibrated heads: the mean over slices of the squared distance of unit vectors.
        channels = [head.model[1].weight.shape for head in network.lins]
        heads = {k: torch.full(shape, 1 / NUM_SLICES) for k, shape in enumerate(channels)}
    return Perceptual(_fill(network, weights, heads, str(folder)), "embedded")


def _load_trunk(name: str, file: str) -> Perceptual:
    import lpips

    trunk = TRUNKS[name]
    path = Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / trunk.cache_name
    if not path.is_file():
        raise PerceptualError(
            f"perceptual network {name!r}: looked for {path}, which does not exist. Save the state "
            f"dict of torchvision.models.{trunk.factory}(weights='IMAGENET1K_V1') with torch.save "
            f"on a machine with network access and give {name}:FILE"
        )
    calibrated = Path(str(resources.files(lpips))) / f"weights/v0.1/{name}.pth"
    package_heads = read_state(calibrated, PerceptualError)
    heads = {k: package_heads[f"lin{k}.model.1.weight"] for k in range(NUM_SLICES)}
    state = read_state(path, PerceptualError)
    network = _fill(_empty_network(name), state, heads, str(path))
    return Perceptual(network, f"real: {name}")


def _empty_network(name: str) -> lpips.LPIPS:
    import lpips

    if name not in TRUNKS:
        raise PerceptualError(f"perceptual network {name!r}: expected one of {sorted(TRUNKS)}")
    # On the meta device nothing is initialised: the package would otherwise fill the trunk's
    # unused 60-million-parameter classifier with random numbers first.
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision's deprecation of the package's own call
        return lpips.LPIPS(net=name, pretrained=False, pnet_rand=True, verbose=False)


def _fill(
    network: lpips.LPIPS, trunk: dict[str, Tensor], heads: dict[int, Tensor], shown: str
) -> lpips.LPIPS:
    """Put weights in place; torchvision's layer numbers are the last part of lpips's names."""
    state = {}
    for key, expected in network.state_dict().items():
        if key.startswith("scaling_layer"):
            value: Tensor | None = expected
        elif key.startswith("lin"):
            number = key.removeprefix("lins.").removeprefix("lin").split(".")[0]
            value = heads[int(number)]
        else:
            value = trunk.get("features." + ".".join(key.split(".")[-2:]))
        if value is None or value.shape != expected.shape:
            found = "nothing" if value is None else tuple(value.shape)
            raise PerceptualError(
                f"{shown}: expected {tuple(expected.shape)} for {key}, found {found}"
            )
        state[key] = value.to(torch.float32)
    network.load_state_dict(state, assign=True)
    return network
