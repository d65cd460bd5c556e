"""A tiny, random, but real Stable-Diffusion-shaped diffusers folder for tests.

The topology is the real one (12 UNet decoder resnets, 14 VAE decoder resnets, factor 8); the widths
are a few channels. Everything follows from the seed, so two builds hold equal weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

_BOS, _EOS = "<|startoftext|>", "<|endoftext|>"
_WORDS = "a the red green blue cat dog house tree ball on in two photo of and".split()


def build(
    folder: Path, *, image_size: int = 64, prediction_type: str = "epsilon", seed: int = 0
) -> Path:
    """Write a StableDiffusionPipeline folder with random weights and return its path.

    Args:
        folder: where to write; made if absent.
        image_size: side of the images in pixels, a multiple of 8.
        prediction_type: what the UNet predicts, `epsilon` or `v_prediction`.
        seed: seed of all weights.
    """
    words = tokenizer(max_length=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=_vae(image_size),
            text_encoder=_text_encoder(words),
            tokenizer=words,
            unet=_unet(image_size // 8),
            scheduler=scheduler(prediction_type),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def tokenizer(max_length: int) -> CLIPTokenizer:
    """Build a CLIP tokenizer of single letters and a few whole words."""
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    vocab = letters + [letter + "</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in _WORDS:  # each known word becomes one token, letter by letter
        left = word[0]
        for position, letter in enumerate(word[1:], start=2):
            right = letter + "</w>" if position == len(word) else letter
            if left + right not in vocab:
                vocab.append(left + right)
                merges.append((left, right))
            left += right
    ids = {token: index for index, token in enumerate([*vocab, _BOS, _EOS])}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=max_length)


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=24,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config).eval()


def _unet(latent_size: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 24, 32, 32),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=24,
        down_block_types=(*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    ).eval()


def _vae(image_size: int) -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=image_size,
        latent_channels=4,
        block_out_channels=(8, 12, 16, 16),
        layers_per_block=2,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).eval()


def scheduler(prediction_type: str) -> DDIMScheduler:
    """Build Stable Diffusion's scheduler with DDIM."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
