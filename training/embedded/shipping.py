"""Puts the trained parts together in the formats that other programs open."""

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
    """Writes a diffusers folder that StableDiffusionPipeline opens unchanged.

    UNet and VAE lie there in half precision, and diffusers opens them in single; transformers would
    keep the text encoder as it lies there, so that one is written in single precision."""
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
