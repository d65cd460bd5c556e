"""The embedded CLIP and its loss: scenes and their drawings against their captions.

Shapes: B batch, D embedding width, K tokens a caption, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTokenizer

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, unit_from_uint8
from pipeline.whole_file import write_json, write_tensors
from training.embedded.scenes.arrays import SceneArrays, step_rng
from training.embedded.scenes.drawings import draw

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
DRAWING_PREFIX = "a drawing of "


def new_clip(tokenizer: CLIPTokenizer) -> open_clip.CLIP:
    """Build the embedded CLIP with random weights."""
    return open_clip.CLIP(**_model_config(tokenizer))


def to_clip(images: Pixels, device: torch.device) -> Tensor:
    """Bring pictures to CLIP's input: uint8 (B, S, S, 3) -> (B, 3, S, S), standardised."""
    x = unit_from_uint8(channels_first(images, device))
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Encode captions as tokens: -> int64 (B, K), padded with the end token."""
    encoded = tokenizer(
        captions, padding="max_length", truncation=True, max_length=tokenizer.model_max_length
    )
    return torch.tensor(encoded.input_ids)


class Contrast(nn.Module):
    """Symmetric cross entropy over pictures and captions (CLIP's objective)."""

    def __init__(self, clip: open_clip.CLIP) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, pictures: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Compare pictures (B, 3, S, S) with tokens (B, K): -> the loss, the share retrieved."""
        image, text, scale = self.clip(pictures, tokens)
        logits = scale * image @ text.T  # (B, B)
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
        return loss / 2, (logits.argmax(1) == target).float().mean()


def contrastive_loss(
    model: Contrast,
    scenes: SceneArrays,
    inked: Pixels,
    tokenizer: CLIPTokenizer,
    seed: int,
    batch: int = 64,
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step: half a batch of scenes, half of drawings, with their captions.

    Args:
        model: what learns.
        scenes: what it learns from.
        inked: their XDoG drawings, uint8 (N, S, S).
        tokenizer: for the captions; those of drawings begin with "a drawing of".
        seed: of the choice of scenes, together with the step.
        batch: pictures of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(model.parameters()).device
    plain = tokenize(tokenizer, list(scenes.captions))
    drawn = tokenize(tokenizer, [DRAWING_PREFIX + caption for caption in scenes.captions])

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        rows = rng.choice(len(scenes), batch, replace=False)
        first, second = rows[: batch // 2], rows[batch // 2 :]
        pictures = np.concatenate([scenes.images[first], draw(scenes, inked, second, rng)])
        tokens = torch.cat([plain[first], drawn[second]]).to(device)
        loss, hits = model(to_clip(pictures, device), tokens)
        return loss, {"retrieved": hits.item()}

    return loss_fn


def save_clip(clip: open_clip.CLIP, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write open_clip's own local-dir format: configuration and half-precision safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_cfg": _model_config(tokenizer),
        "preprocess_cfg": {
            "mean": MEAN,
            "std": STD,
            "size": [128, 128],
            "interpolation": "bicubic",
        },
    }
    write_json(folder / "open_clip_config.json", config)
    weights = {
        k: v.half().contiguous() for k, v in clip.state_dict().items() if v.is_floating_point()
    }
    write_tensors(folder / "open_clip_model.safetensors", weights)


def _model_config(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    """Return open_clip's configuration of the embedded model: 64 patches of 16 px, width 128."""
    return {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": 128,
            "layers": 4,
            "width": 128,
            "head_width": 32,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": tokenizer.model_max_length,
            "vocab_size": len(tokenizer),
            "width": 128,
            "heads": 4,
            "layers": 2,
        },
    }
