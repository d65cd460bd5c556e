"""The embedded perceptual network and its loss: AlexNet's trunk names what is in pictures.

Shapes: B batch, S side in pixels, A attributes (10 kinds, 10 colours, the grounds).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lpips
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, signed_from_uint8
from pipeline.whole_file import write_tensors, write_text
from training.embedded.scenes.arrays import SceneArrays, step_rng
from training.embedded.scenes.drawings import draw


def attributes(scenes: SceneArrays) -> tuple[Tensor, int]:
    """Tabulate kinds, colours and ground of each scene.

    Returns:
        0 or 1 for each scene and attribute, (N, A), and how many of the attributes are kinds.
    """
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
    """The AlexNet trunk of lpips under a linear head that names attributes from every slice.

    Every slice must help to name the scene, so that every slice holds something worth comparing.
    """

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        network = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
        self.scaling, self.trunk = network.scaling_layer, network.net.requires_grad_(True)
        self.head = nn.Linear(64 + 192 + 384 + 256 + 256, num_attributes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Name what is in pictures (B, 3, S, S) in [-1, 1]: -> logits (B, A)."""
        slices = self.trunk(self.scaling(pictures))
        return self.head(torch.cat([s.mean(dim=(2, 3)) for s in slices], dim=1))


def recognition_loss(
    model: Recogniser, scenes: SceneArrays, inked: Pixels, seed: int, batch: int = 64
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step: half a batch of scenes, half of drawings for their kinds alone.

    Args:
        model: what learns.
        scenes: what it learns from.
        inked: their XDoG drawings, uint8 (N, S, S).
        seed: of the choice of scenes, together with the step.
        batch: pictures of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(model.parameters()).device
    table, num_kinds = attributes(scenes)

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        rows = rng.integers(0, len(scenes), batch)
        first, second = rows[: batch // 2], rows[batch // 2 :]
        pictures = np.concatenate([scenes.images[first], draw(scenes, inked, second, rng)])
        x = signed_from_uint8(channels_first(pictures, device))
        logits, truth = model(x), table[rows].to(device)
        error = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        shown = torch.ones_like(error)
        shown[batch // 2 :, num_kinds:] = 0  # a drawing shows no colour and little ground
        hits = ((logits > 0) == (truth > 0.5)).float()[:, :num_kinds].mean()
        return (error * shown).sum() / shown.sum(), {"kinds_right": hits.item()}

    return loss_fn


def save_recogniser(model: Recogniser, folder: Path) -> None:
    """Write the trunk under torchvision's AlexNet names, in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    # lpips splits the trunk into slices but keeps each layer's index as its name.
    weights = {
        f"features.{name.split('.', 1)[1]}": value.half().contiguous()
        for name, value in model.trunk.state_dict().items()
    }
    write_tensors(folder / "model.safetensors", weights)
    write_text(folder / "config.json", json.dumps({"network": "alex"}) + "\n")
