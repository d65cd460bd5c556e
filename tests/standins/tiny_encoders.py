"""Folders of tiny random encoders in the formats of the embedded ones, for tests."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

CLIP_SIDE = 32
TINY_CLIP = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": CLIP_SIDE,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


def write_clip(folder: Path, seed: int = 0) -> Path:
    """Write a random CLIP model (24-wide embeddings of 32-pixel pictures) in open_clip's format."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**TINY_CLIP)
    config = {
        "model_cfg": TINY_CLIP,
        "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def random_trunk(seed: int = 0) -> dict[str, Tensor]:
    """Draw a torchvision AlexNet trunk's state dict, keys "features.N.weight|bias"."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        shapes = torchvision.models.AlexNet().features.state_dict()
    generator = torch.Generator().manual_seed(seed)
    trunk = {}
    for name, tensor in shapes.items():
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 100
        values = torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5
        trunk[f"features.{name}"] = values
    return trunk


def write_perceptual(folder: Path, seed: int = 0, heads: bool = True) -> Path:
    """Write a random perceptual network in the embedded format, with or without heads."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = random_trunk(seed)
    if heads:
        generator = torch.Generator().manual_seed(seed + 1)
        for k, channels in enumerate((64, 192, 384, 256, 256)):
            weights[f"lin{k}.weight"] = torch.rand(1, channels, 1, 1, generator=generator)
    (folder / "config.json").write_text(json.dumps({"network": "alex"}), encoding="utf-8")
    save_file(weights, folder / "model.safetensors")
    return folder
