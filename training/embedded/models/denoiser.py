"""The embedded UNet2DConditionModel, its text encoder, and their loss on latents.

Shapes: N scenes, B batch, C latent channels, h side of a latent, K tokens a caption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.embedded.models.autoencoder import zero_branches
from training.embedded.scenes.arrays import step_rng

TEXT_WIDTH = 128
# The share of captions replaced by the empty one, which classifier-free guidance needs.
CAPTION_DROPOUT = 0.1


@dataclass(frozen=True)
class LatentScenes:
    """The autoencoder's posteriors of N captioned scenes, scaled to unit variance.

    Attributes:
        means: float16 (N, C, h, h).
        deviations: float16 (N, C, h, h).
        tokens: of the captions, int64 (N, K).
        empty: of the empty caption, int64 (K,).
    """

    means: Tensor
    deviations: Tensor
    tokens: Tensor
    empty: Tensor


def new_scheduler() -> DDIMScheduler:
    """Build Stable Diffusion's noise schedule; predicting the velocity converges sooner."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def new_unet(latent_channels: int, sample_size: int = 16) -> UNet2DConditionModel:
    """Build the embedded UNet with random weights: 12 decoder resnets, as Stable Diffusion's.

    Attention is at the two middle resolutions only (docs/results.md). Residual branches start at
    zero, as in the autoencoder.
    """
    unet = UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        down_block_types=(
            "DownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )
    zero_branches(unet)
    nn.init.zeros_(unet.conv_out.weight)
    return unet


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build the embedded text encoder with random weights."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=TEXT_WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


class TextToLatent(nn.Module):
    """UNet and text encoder, which learn together."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """Predict the velocity: latents (B, C, h, h), (B,) and tokens (B, K) -> (B, C, h, h)."""
        return self.unet(noisy, timesteps, self.text_encoder(tokens).last_hidden_state).sample


def denoising_loss(
    model: TextToLatent, scenes: LatentScenes, scheduler: DDIMScheduler, seed: int, batch: int
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step: the velocity's mean squared error at uniformly drawn timesteps.

    Args:
        model: what learns.
        scenes: what it learns from.
        scheduler: of the noise.
        seed: of scenes, noise and timesteps, together with the step.
        batch: latents of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(model.parameters()).device

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        rows = torch.from_numpy(rng.integers(0, len(scenes.tokens), batch))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        means, deviations = scenes.means[rows].float(), scenes.deviations[rows].float()
        x_0 = means + deviations * torch.randn(means.shape, generator=generator)
        noise = torch.randn(means.shape, generator=generator)
        timesteps = torch.randint(0, len(scheduler.alphas_cumprod), (batch,), generator=generator)
        tokens = scenes.tokens[rows].clone()
        tokens[torch.rand(batch, generator=generator) < CAPTION_DROPOUT] = scenes.empty
        noisy = scheduler.add_noise(x_0, noise, timesteps)
        target = scheduler.get_velocity(x_0, noise, timesteps)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            velocity = model(noisy.to(device), timesteps.to(device), tokens.to(device))
        return (velocity.float() - target.to(device)).square().mean(), {}

    return loss_fn
