"""Trains the embedded perceptual network: AlexNet's trunk names what is in scenes and drawings.

Shapes: B batch, S side in pixels, A attributes (10 kinds, 10 colours, the grounds).
"""

import json
from collections.abc import Callable
from pathlib import Path

import lpips
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.pixels import channels_first, signed_from_uint8
from pipeline.whole_file import write_tensors, write_text
from training.embedded.scenes.arrays import SceneArrays, step_rng
from training.embedded.scenes.drawings import draw


def attributes(scenes: SceneArrays) -> tuple[Tensor, int]:
    """Kinds, colours and ground of each scene, (N, A) of 0 and 1, and the number of kinds."""
    columns = [
        sorted({name for names in scenes.kinds for name in names}),
        sorted({name for names in scenes.colours for name in names}),
        sorted(set(scenes.grounds)),
    ]
    rows = zip(scenes.kinds, scenes.colours, ((g,) for g in scenes.grounds), strict=True)
    table = [
        [float(n in names) for c, names in zip(columns, row, strict=True) for n in c]
        for row in rows
    ]
    return torch.tensor(table), len(columns[0])


class Recogniser(nn.Module):
    """lpips's AlexNet trunk under two linear heads: kinds from every slice, attributes likewise.

    Every slice must help to name the scene, so that every slice holds something worth comparing."""

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        network = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
        self.scaling, self.trunk = network.scaling_layer, network.net.requires_grad_(True)
        self.head = nn.Linear(64 + 192 + 384 + 256 + 256, num_attributes)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> logits (B, A)."""
        slices = self.trunk(self.scaling(pictures))
        return self.head(torch.cat([s.mean(dim=(2, 3)) for s in slices], dim=1))


def recognition_loss(
    model: Recogniser, scenes: SceneArrays, inked: np.ndarray, seed: int, batch: int = 64
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Half a batch of scenes, all attributes; half of drawings, their kinds alone."""
    device = next(model.parameters()).device
    table, num_kinds = attributes(scenes)

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        rows = rng.integers(0, len(scenes), batch)
        first, second = rows[: batch // 2], rows[batch // 2 :]
        pictures = np.concatenate([scenes.images[first], draw(scenes, inked, second, rng)])
        x = signed_from_uint8(channels_first(pictures, device))
        logits, truth = model(x), table[rows].to(device)
        error = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        known = torch.ones_like(error)
        known[batch // 2 :, num_kinds:] = 0  # a drawing shows no colour and little ground
        hits = ((logits > 0) == (truth > 0.5)).float()[:, :num_kinds].mean()
        return (error * known).sum() / known.sum(), {"kinds_right": hits.item()}

    return loss_fn


def save_recogniser(model: Recogniser, folder: Path) -> None:
    """Writes the trunk under torchvision's AlexNet names, in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    # lpips splits the trunk into slices but keeps each layer's index as its name.
    weights = {
        f"features.{name.split('.', 1)[1]}": value.half().contiguous()
        for name, value in model.trunk.state_dict().items()
    }
    write_tensors(folder / "model.safetensors", weights)
    write_text(folder / "config.json", json.dumps({"network": "alex"}) + "\n")
