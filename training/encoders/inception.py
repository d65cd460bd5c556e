"""Inception-v3 pool features, for distances between sets of pictures (FID, KID).

Shapes: N pictures, H x W pixels, 2,048 features. Nothing is downloaded: the network comes from a
file, and its label goes wherever a score goes, since scores of two networks are not comparable.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.canonical import sha256_of_file
from pipeline.pixels import unit_from_uint8
from training.encoders.imagenet import IMAGENET_MEAN, IMAGENET_STD
from training.encoders.state_file import read_state

FEATURES = 2048
SIDE_PX = 299


class InceptionError(ValueError):
    """An Inception network that was asked for is missing or cannot be read."""


@dataclass(frozen=True)
class Inception:
    """A network that describes pictures.

    Attributes:
        label: its kind, file and hash, for reports.
        pool: the network, uint8 (N, 3, H, W) -> (N, 2048).
    """

    label: str
    pool: Callable[[Tensor], Tensor]
    device: str

    @torch.no_grad()
    def features(self, drawings: Sequence[Pixels]) -> NDArray[np.float64]:
        """Describe drawings, uint8 (H, W) of any sizes, grey repeated: -> (N, 2048).

        Raises:
            ValueError: a drawing has another type or shape.
        """
        described = [np.zeros((0, FEATURES))]
        for drawing in drawings:
            if drawing.dtype != np.uint8 or drawing.ndim != 2:
                raise ValueError(
                    f"expected drawings uint8 (H, W), got {drawing.dtype} {drawing.shape}"
                )
            picture = torch.from_numpy(drawing.copy()).to(self.device)[None, None]
            pooled = self.pool(picture.expand(-1, 3, -1, -1))
            described.append(pooled.double().cpu().numpy())
        return np.concatenate(described)


def load_inception(path: Path, device: str = "cpu") -> Inception:
    """Load an Inception-v3 from a local file.

    Args:
        path: a state dict of torchvision's inception_v3 (.safetensors, or .pth of torch.save), or
            the TorchScript file of the 2015 network that FIDs are published with (uint8 pictures
            in, called with return_features=True).
        device: where the network goes.

    Raises:
        InceptionError: the file is missing or holds something else; the message says what was
            expected and how to get it.
    """
    if not path.is_file():
        raise InceptionError(
            f"{path}: no such file. Save the state dict of "
            "torchvision.models.inception_v3(weights='IMAGENET1K_V1') with torch.save on a "
            "machine with network access, or give the TorchScript file inception-2015-12-05.pt"
        )
    digest = sha256_of_file(path)[:12]
    scripted = None if path.suffix == ".safetensors" else _read_torchscript(path)
    if scripted is not None:
        pool = _scripted_pool(scripted.to(device).eval(), path)
        return Inception(f"torchscript: {path.name} {digest}", pool, device)
    network = _torchvision_network(read_state(path, InceptionError), path).to(device)
    return Inception(f"torchvision: {path.name} {digest}", Pool(network), device)


class Pool:
    """The network of torchvision up to its average pool, fed with what it was trained on."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, pictures: Tensor) -> Tensor:
        """Describe uint8 (N, 3, H, W): -> (N, 2048)."""
        size = (SIDE_PX, SIDE_PX)
        x = F.interpolate(unit_from_uint8(pictures), size, mode="bilinear", antialias=True)
        mean = x.new_tensor(IMAGENET_MEAN)[:, None, None]
        std = x.new_tensor(IMAGENET_STD)[:, None, None]
        pooled: Tensor = self.network((x - mean) / std)
        return pooled


def _torchvision_network(state: dict[str, Tensor], path: Path) -> nn.Module:
    from torchvision.models import inception_v3

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision warns that its initialisation will change
        network = inception_v3(weights=None, aux_logits=False, init_weights=False)
    network.transform_input = False
    wanted = network.state_dict()
    kept = {key: value.float() for key, value in state.items() if key in wanted}
    wrong = sorted(
        key for key in wanted
        if not key.endswith("num_batches_tracked")
        and (key not in kept or kept[key].shape != wanted[key].shape)
    )  # fmt: skip
    if wrong:
        raise InceptionError(
            f"{path}: expected a state dict of torchvision's inception_v3; {len(wrong)} weights "
            f"are missing or of another shape, such as {wrong[0]}"
        )
    for key in wanted.keys() - kept.keys():
        kept[key] = torch.zeros(())
    network.load_state_dict(kept, assign=True)
    network.fc = nn.Identity()  # what comes in is the pooled feature
    return network.eval().requires_grad_(False)


def _read_torchscript(path: Path) -> nn.Module | None:
    """Load a TorchScript file; None for a file that is something else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces that it will drop the format
            return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError):
        return None


def _scripted_pool(network: nn.Module, path: Path) -> Callable[[Tensor], Tensor]:
    def pool(pictures: Tensor) -> Tensor:
        try:
            pooled = network(pictures, return_features=True)
        except RuntimeError as error:
            raise InceptionError(
                f"{path}: expected a TorchScript network that takes uint8 pictures and "
                f"return_features=True: {str(error).splitlines()[0]}"
            ) from error
        if pooled.shape != (len(pictures), FEATURES):
            raise InceptionError(
                f"{path}: expected {FEATURES} features a picture, got {tuple(pooled.shape)}"
            )
        return pooled

    return pool
