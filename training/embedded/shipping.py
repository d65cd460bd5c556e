"""The trained parts, put together in the formats that other programs open."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer


def save_pipeline(
    folder: Path,
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    scheduler: DDIMScheduler,
) -> None:
    """Write a diffusers folder that StableDiffusionPipeline opens unchanged.

    UNet and VAE are stored in half precision, which diffusers opens as single; transformers would
    keep the text encoder as it is stored, so that one is written in single precision.
    """
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for module in (vae, unet):
        module.to(torch.float16)
    pipeline.save_pretrained(folder)
    for module in (vae, unet):
        module.to(torch.float32)
