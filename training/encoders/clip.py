"""CLIP image embeddings that pass gradients to the pixels (DiffSketch 4.2).

B: pictures, C: 1 or 3 channels, H, W: pixels, S: side of CLIP's own input, D: embedding width.
Only the image tower is kept: no loss uses the text tower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import try_to_load_from_cache
from torch import Tensor, nn

from pipeline.canonical import sha256, sha256_of_file

CONFIG_NAME = "open_clip_config.json"
WEIGHTS_NAME = "open_clip_model.safetensors"
HUB_WEIGHT_NAMES = (WEIGHTS_NAME, "open_clip_pytorch_model.bin")


class ClipError(ValueError):
    """A CLIP model that was asked for is missing or cannot be read."""


class ClipEncoder(nn.Module):
    """A frozen CLIP image tower with its own preprocessing.

    Attributes:
        label: where the weights come from ("embedded" or "real: ..."), for reports.
        files_sha256: `clip_files_sha256` of the location that it was loaded from.
        side: S, in pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, visual: nn.Module, label: str, files_sha256: str) -> None:
        super().__init__()
        self.visual = visual.eval().requires_grad_(False)
        self.label = label
        self.files_sha256 = files_sha256
        preparation: dict[str, Any] = visual.preprocess_cfg  # type: ignore[assignment]
        self.side = _side(preparation["size"])
        channel_shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(preparation["mean"]).view(channel_shape))
        self.register_buffer("std", torch.tensor(preparation["std"]).view(channel_shape))

    def train(self, mode: bool = True) -> ClipEncoder:
        """Stay in evaluation mode: the encoder is frozen."""
        return super().train(False)

    def prepare(self, x: Tensor) -> Tensor:
        """Bring pictures to CLIP's input: (B, 1|3, H, W) in [0, 1] -> (B, 3, S, S), standardised.

        Resizing is bicubic with antialiasing, as in CLIP's own transform. Overshoot is left in:
        clamping would take the gradient from blank paper, which lies exactly on the limit.
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ValueError(f"expected pictures (B, 1 or 3, H, W), got {tuple(x.shape)}")
        x = x.expand(-1, 3, -1, -1).to(self.mean.dtype)
        if x.shape[-2:] != (self.side, self.side):
            size = (self.side, self.side)
            x = F.interpolate(x, size, mode="bicubic", align_corners=False, antialias=True)
        return (x - self.mean) / self.std

    def features(self, x: Tensor) -> Tensor:
        """Embed pictures at the length that the tower gives: (B, 1|3, H, W) in [0, 1] -> (B, D)."""
        return self.visual(self.prepare(x))

    def image(self, x: Tensor) -> Tensor:
        """Embed pictures at unit length: (B, 1|3, H, W) in [0, 1] -> (B, D)."""
        return F.normalize(self.features(x), dim=-1)


def load_clip(location: str | Path, device: str | torch.device = "cpu") -> ClipEncoder:
    """Load a CLIP image tower from a local folder or file; nothing is ever downloaded.

    Args:
        location: a folder in open_clip's format (open_clip_config.json,
            open_clip_model.safetensors); or "MODEL:FILE" with a weight file; or "MODEL:TAG" with a
            tag of open_clip that is already in the local cache.
        device: where the tower goes.

    Raises:
        ClipError: it is missing or cannot be read; the message says what was looked for, where, and
            how to get it.
    """
    text = str(location)
    if Path(text).is_dir():
        model, label = _load_folder(Path(text)), "embedded"
    elif ":" in text:
        name, weights = text.split(":", 1)
        model, label = _load_named(name, weights), f"real: {name}"
    else:
        raise _not_found(text)
    visual: Any = model.visual
    return ClipEncoder(visual, label, clip_files_sha256(text)).to(device)


def clip_files_sha256(location: str | Path) -> str:
    """Hash the files that `load_clip` reads of a location, without loading a model.

    Raises:
        ClipError: as `load_clip`, where a file is missing.
    """
    text = str(location)
    if Path(text).is_dir():
        name, files = "", _files_of_folder(Path(text))
    elif ":" in text:
        name, weights = text.split(":", 1)
        files = [_weights_file(name, weights)]
    else:
        raise _not_found(text)
    return sha256("\n".join([name, *map(sha256_of_file, files)]).encode())


def _side(size: int | tuple[int, int] | list[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ClipError(f"expected a CLIP model with square input, got {size}")
    return sides.pop()


def _not_found(location: str) -> ClipError:
    return ClipError(
        f"CLIP model {location!r}: no such folder. Expected a folder with {CONFIG_NAME} and "
        f"{WEIGHTS_NAME}, or MODEL:FILE such as ViT-B-32-quickgelu:weights.safetensors"
    )


def _files_of_folder(folder: Path) -> list[Path]:
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if missing:
        raise ClipError(
            f"CLIP folder {folder} lacks {' and '.join(missing)}. The embedded model is written "
            "by `onesketch train-embedded`, a real one by open_clip's push_to_hf_hub"
        )
    return [folder / name for name in (CONFIG_NAME, WEIGHTS_NAME)]


def _load_folder(folder: Path) -> nn.Module:
    _files_of_folder(folder)
    config = _config_of(f"local-dir:{folder}")
    _refuse_remote_text_tower(config, str(folder))
    return _create(f"local-dir:{folder}", str(folder))


def _load_named(name: str, weights: str) -> nn.Module:
    import open_clip

    if name not in open_clip.list_models():
        similar = [model for model in open_clip.list_models() if model.startswith(name[:5])]
        raise ClipError(
            f"unknown CLIP model {name!r}: expected a name that open_clip knows, such as "
            f"{similar[:8] or open_clip.list_models()[:8]}"
        )
    _refuse_remote_text_tower(_config_of(name), name)
    file = _weights_file(name, weights)
    if Path(weights).is_file():
        return _create(name, weights, pretrained=weights)
    return _load_tag(name, weights, file)


def _weights_file(name: str, weights: str) -> Path:
    """Find the weights of a named model: a file, or a tag's in the local cache."""
    import open_clip

    if Path(weights).is_file():
        return Path(weights)
    if weights in open_clip.list_pretrained_tags_by_model(name):
        return _cached_weights(name, weights)
    raise ClipError(
        f"CLIP weights for {name}: {weights!r} is neither a file nor a tag of open_clip. "
        f"Tags: {open_clip.list_pretrained_tags_by_model(name)}"
    )


def _cached_weights(name: str, tag: str) -> Path:
    """Return the file of a tag's weights in the local cache."""
    import open_clip

    config = open_clip.get_pretrained_cfg(name, tag)
    repository = config.get("hf_hub", "").rstrip("/")
    cached = _cached_file(repository) if repository else None
    if cached is None:
        raise ClipError(
            f"CLIP weights {name}:{tag} are not in the local Hugging Face cache (looked for "
            f"{' or '.join(HUB_WEIGHT_NAMES)} of {repository or 'no repository'}). Fetch them "
            f"once with `hf download {repository}`, or give {name}:FILE"
        )
    return Path(cached)


def _load_tag(name: str, tag: str, file: Path) -> nn.Module:
    import open_clip

    config = open_clip.get_pretrained_cfg(name, tag)
    # A tag fixes the activation and the statistics that its weights were trained with; open_clip
    # itself only warns when they differ from the architecture's own.
    statistics = {key: config[key] for key in ("mean", "std") if config.get(key)}
    return _create(
        name,
        f"{name}:{tag}",
        pretrained=str(file),
        force_quick_gelu=bool(config.get("quick_gelu")),
        force_preprocess_cfg=statistics,
    )


def _cached_file(repository: str) -> str | None:
    for name in HUB_WEIGHT_NAMES:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return found
    return None


def _config_of(model_name: str) -> dict[str, Any]:
    import open_clip

    try:
        return open_clip.get_model_config(model_name)
    except ValueError as error:
        raise ClipError(f"{model_name}: configuration is not valid JSON: {error}") from error


def _refuse_remote_text_tower(config: dict[str, Any], name: str) -> None:
    # open_clip builds such towers by asking the hub for their configuration.
    if "hf_model_name" in config.get("text_cfg", {}):
        raise ClipError(
            f"CLIP model {name} has a Hugging Face text tower, which open_clip can "
            "only build with the network. Choose one with open_clip's own text tower"
        )


def _create(model_name: str, shown: str, **options: Any) -> nn.Module:
    import open_clip

    try:
        return open_clip.create_model(model_name, require_pretrained=True, **options)
    except (RuntimeError, KeyError, ValueError, TypeError, OSError) as error:
        raise ClipError(f"CLIP weights in {shown} do not fit their model: {error}") from error
