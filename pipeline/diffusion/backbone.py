"""The frozen text-to-image model: loaded from a diffusers folder, checked, fingerprinted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.canonical import sha256_of_file
from pipeline.diffusion.location import is_hub_id

if TYPE_CHECKING:
    # By module: the package's own names resolve to stand-ins for type checkers.
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer

_WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A Stable-Diffusion-shaped model, all parameters frozen, on one device in one dtype.

    `unconditional` (1, L, D) is the embedding of the empty prompt, which guidance needs in every
    sample; `fingerprint` maps each file that was read to its SHA-256.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    unconditional: Tensor
    device: torch.device
    dtype: torch.dtype
    fingerprint: dict[str, str]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one latent."""
        size = int(self.unet.config["sample_size"])
        return int(self.unet.config["in_channels"]), size, size

    @property
    def image_size(self) -> int:
        """Side of a generated image in pixels."""
        return self.latent_shape[1] * 2 ** (len(self.vae.config["block_out_channels"]) - 1)


def load_backbone(
    location: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Backbone:
    """Load a backbone from a diffusers folder, or from the local cache by its hub id.

    Nothing is downloaded: a job must not fetch gigabytes unasked.

    Raises:
        BackboneError: the folder or a file in it is missing, unreadable or does not fit.
    """
    folder = backbone_folder(location)
    files = fingerprint_folder(folder)
    unet, vae, text_encoder, tokenizer, scheduler = _read(folder, dtype)
    for module in (unet, vae, text_encoder):
        _freeze(module, torch.device(device))
    return Backbone(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=scheduler,
        unconditional=embed(text_encoder, tokenizer, [""]),
        device=torch.device(device),
        dtype=dtype,
        fingerprint=files,
    )


def fingerprint_folder(folder: Path) -> dict[str, str]:
    """Map each file that loading a backbone's folder reads to its SHA-256, without loading it.

    Raises:
        BackboneError: a file is missing.
    """
    # All are found before the first is read: gigabytes are hashed for a complete folder only.
    return {str(file.relative_to(folder)): sha256_of_file(file) for file in sorted(_files(folder))}


def backbone_folder(location: str | Path) -> Path:
    """Return the folder of a backbone given as a folder or as a hub id in the local cache.

    Raises:
        BackboneError: there is none.
    """
    if Path(location).is_dir():
        return Path(location)
    if not is_hub_id(str(location)):
        raise BackboneError(
            f"no backbone folder at {location}: give a diffusers folder or a hub id"
        )
    # Imported here, as diffusers below: they cost seconds that only processes with a model owe.
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(location), local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        # diffusers fetches what it needs only, and the hub's library then misses the others.
        index = try_to_load_from_cache(str(location), "model_index.json")
        if isinstance(index, str):
            return Path(index).parent
        raise BackboneError(
            f"backbone {location} is neither a folder nor in the local hub cache: "
            f"fetch it once with `hf download {location}`"
        ) from error


@torch.no_grad()
def embed(text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """Embed prompts as StableDiffusionPipeline does, at the tokenizer's length: (B, L, D)."""
    tokens = tokenizer(
        prompts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    wants_mask = getattr(text_encoder.config, "use_attention_mask", False)
    mask = tokens.attention_mask.to(text_encoder.device) if wants_mask else None
    return text_encoder(tokens.input_ids.to(text_encoder.device), attention_mask=mask)[0]


def _read(folder: Path, dtype: torch.dtype) -> tuple[Any, Any, Any, Any, Any]:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    options: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True}
    options["torch_dtype"] = dtype
    try:
        unet, info = UNet2DConditionModel.from_pretrained(folder / "unet", **options)
        _complete(folder / "unet", info)
        vae, info = AutoencoderKL.from_pretrained(folder / "vae", **options)
        _complete(folder / "vae", info)
        options["dtype"] = options.pop("torch_dtype")
        text_encoder: Any = CLIPTextModel
        text, info = text_encoder.from_pretrained(folder / "text_encoder", **options)
        _complete(folder / "text_encoder", info)
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        config = DDIMScheduler.load_config(folder / "scheduler")
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BackboneError(f"backbone {folder} cannot be read: {reason}") from error
    # StableDiffusionPipeline overrides these two whatever the file says; so do we, to equal it.
    scheduler = DDIMScheduler.from_config(config, clip_sample=False, steps_offset=1)
    return unet, vae, text, tokenizer, scheduler


def _complete(folder: Path, info: dict[str, Any]) -> None:
    # The loaders fill missing weights at random, with a warning only.
    if info["missing_keys"] or info.get("mismatched_keys"):
        names = [str(key) for key in [*info["missing_keys"], *info.get("mismatched_keys", [])]]
        raise BackboneError(
            f"{folder}: {len(names)} weights are missing or of another shape, such as {names[0]}"
        )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that loading reads, after checking that each is there."""
    for part, weights in _WEIGHTS.items():
        yield _existing(folder, f"{part}/config.json")
        index = folder / part / f"{weights}.index.json"
        if index.is_file():
            yield index
            shards = set(json.loads(index.read_text())["weight_map"].values())
            yield from (_existing(folder, f"{part}/{shard}") for shard in sorted(shards))
        else:
            yield _existing(folder, f"{part}/{weights}")
    yield _existing(folder, "scheduler/scheduler_config.json")
    yield _existing(folder, "tokenizer/tokenizer_config.json")
    if (folder / "tokenizer/tokenizer.json").is_file():
        yield folder / "tokenizer/tokenizer.json"
    else:
        yield _existing(folder, "tokenizer/vocab.json")
        yield _existing(folder, "tokenizer/merges.txt")


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise BackboneError(
            f"backbone {folder}: file {name} is missing; every diffusers folder with safetensors "
            "weights has it, so copy the folder again"
        )
    return path


def _freeze(module: nn.Module, device: torch.device) -> None:
    module.requires_grad_(False).eval().to(device)
