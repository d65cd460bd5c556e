"""Stable Diffusion 1.4's configuration with random weights, made on the spot: as large, as slow."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from jobs.runtime.weights import locate_backbone


def build(folder: Path, seed: int = 0) -> Path:
    """Write a diffusers folder of Stable Diffusion 1.4's shapes in bfloat16 (2.1 GB); return it."""
    embedded = Path(locate_backbone("embedded"))
    tokenizer = CLIPTokenizer.from_pretrained(embedded / "tokenizer", model_max_length=77)
    tokenizer.save_pretrained(folder / "tokenizer")
    scheduler = DDIMScheduler.from_pretrained(
        embedded, subfolder="scheduler", prediction_type="epsilon"
    )
    scheduler.save_pretrained(folder / "scheduler")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # One at a time, so that no two of them are in memory in float32.
        _unet().bfloat16().save_pretrained(folder / "unet")
        _vae().bfloat16().save_pretrained(folder / "vae")
        _text_encoder(tokenizer).bfloat16().save_pretrained(folder / "text_encoder")
    return folder


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        layers_per_block=2,
        attention_head_dim=8,
        cross_attention_dim=768,
        down_block_types=(*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=512,
        latent_channels=4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=77,
        projection_dim=768,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)
