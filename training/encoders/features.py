"""Feature distance of Pix2PixHD (its VGG loss) with any frozen network of five slices.

B: pictures, C_k, h_k, w_k: channels and size of slice k.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.pixels import unit_from_signed
from training.encoders.imagenet import IMAGENET_MEAN, IMAGENET_STD
from training.encoders.lpips import PerceptualError, load_perceptual
from training.encoders.state_file import read_state

SLICE_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # from the finest slice to the coarsest
VGG19 = "vgg19"
VGG19_CACHE_NAME = "vgg19-dcbb9e9d.pth"  # in the torch hub cache
VGG19_SLICE_ENDS = (2, 7, 12, 21, 30)  # after relu1_1, relu2_1, relu3_1, relu4_1, relu5_1


class FeatureNetwork(Protocol):
    """A frozen network that describes pictures by five maps, from the finest to the coarsest.

    Attributes:
        label: where its weights come from, for reports.
    """

    label: str

    def slices(self, x: Tensor) -> list[Tensor]:
        """Describe pictures (B, 1|3, H, W) in [-1, 1]: -> five maps (B, C_k, h_k, w_k)."""
        ...


class Vgg19(nn.Module):
    """The trunk of VGG-19 up to relu5_1.

    Pix2PixHD's code feeds it pictures in [-1, 1] as they are; here they get the ImageNet scaling
    that the weights were trained with.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: nn.Sequential, label: str) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        self.label = label
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def slices(self, x: Tensor) -> list[Tensor]:
        """Describe pictures (B, 1|3, H, W) in [-1, 1], 16 pixels a side or more: -> five maps."""
        x = (unit_from_signed(x.expand(-1, 3, -1, -1)) - self.mean) / self.std
        maps = []
        for end, layer in enumerate(self.trunk, start=1):
            x = layer(x)
            if end in VGG19_SLICE_ENDS:
                maps.append(x)
        return maps


def feature_distance(drawn: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Weigh the mean absolute differences of five slices: -> scalar; the truth has no gradient."""
    terms = [
        weight * F.l1_loss(a, b.detach())
        for weight, a, b in zip(SLICE_WEIGHTS, drawn, true, strict=True)
    ]
    return torch.stack(terms).sum()


def load_features(location: str | Path, device: str | torch.device = "cpu") -> FeatureNetwork:
    """Load a feature network from a local folder or file; nothing is ever downloaded.

    Args:
        location: "vgg19:FILE" with a torchvision state dict; "vgg19" alone to look in the torch
            hub cache; or a perceptual network's, see `training.encoders.lpips.load_perceptual`.
        device: where the network goes.

    Raises:
        PerceptualError: it is missing or cannot be read; the message says what was looked for.
    """
    name, _, file = str(location).partition(":")
    if name != VGG19:
        return load_perceptual(location, device)
    path = Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / VGG19_CACHE_NAME
    return _load_vgg19(path).to(device)


def _load_vgg19(path: Path) -> Vgg19:
    import torchvision

    if not path.is_file():
        raise PerceptualError(
            f"feature network 'vgg19': looked for {path}, which does not exist. Save the state "
            "dict of torchvision.models.vgg19(weights='IMAGENET1K_V1') with torch.save on a "
            "machine with network access and give vgg19:FILE"
        )
    with torch.device("meta"):  # its 120 million classifier weights are never made
        trunk = torchvision.models.vgg19().features[: VGG19_SLICE_ENDS[-1]]
    for layer in trunk:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # a slice must outlive the layers after it
    found = {
        name.removeprefix("features."): t for name, t in read_state(path, PerceptualError).items()
    }
    try:
        state = {name: found[name].float() for name in trunk.state_dict()}
        trunk.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        raise PerceptualError(
            f"{path} is not a state dict of torchvision's VGG-19: {error}"
        ) from error
    return Vgg19(trunk, "real: vgg19")
