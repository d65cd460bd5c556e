"""The embedded AutoencoderKL and its loss: factor 8, 14 decoder resnets, sharp edges first.

Shapes: B batch, S side in pixels, C latent channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, image_to_uint8, signed_from_uint8
from training.embedded.scenes.arrays import SceneArrays, step_rng

LATENT_CHANNELS = 8


def new_autoencoder() -> AutoencoderKL:
    """Build the embedded VAE with random weights: Stable Diffusion's topology, narrower.

    Every residual branch starts at zero, so training starts from a nearly linear autoencoder
    (docs/results.md, "Training the embedded models").
    """
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=2,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
    )
    zero_branches(vae)
    # The posterior starts narrow: at the usual start (deviation 1) noise drowns what the mean says
    # of colour, and the colour channels die before they have learned anything.
    quant = vae.quant_conv
    nn.init.zeros_(quant.weight.data[LATENT_CHANNELS:])
    nn.init.constant_(quant.bias.data[LATENT_CHANNELS:], -6.0)
    return vae


def zero_branches(module: nn.Module) -> None:
    """Start every diffusers resnet as its shortcut: the last convolution of the branch is zero."""
    for part in module.modules():
        if isinstance(part, ResnetBlock2D):
            nn.init.zeros_(part.conv2.weight)


def autoencoder_loss(
    vae: AutoencoderKL, scenes: SceneArrays, seed: int, side: int = 64, batch: int = 8
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step: reconstruction, and a small KL term that centres the latents.

    Args:
        vae: the model that learns.
        scenes: what it learns from.
        seed: of crops and noise, together with the step.
        side: of the crops, in pixels.
        batch: crops of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(vae.parameters()).device

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        x = _crops(scenes.images, side, batch, step_rng(seed, step)).to(device)
        generator = torch.Generator(device).manual_seed(seed + step)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample(generator)).sample
        loss, squared = _reconstruction_loss(y.float(), x)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        psnr = -10 * np.log10(squared.item() / 4)
        return loss + 1e-5 * kl, {"psnr": psnr, "kl": kl.item()}

    return loss_fn


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: Pixels, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Encode uint8 (N, S, S, 3): -> posterior means and deviations, float16 (N, C, S/8, S/8)."""
    device = next(vae.parameters()).device
    means, deviations = [], []
    for i in range(0, len(images), batch):
        x = channels_first(images[i : i + batch], device)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = vae.encode(signed_from_uint8(x)).latent_dist
        means.append(posterior.mean.half().cpu())
        deviations.append(posterior.std.half().cpu())
    return torch.cat(means).contiguous(), torch.cat(deviations).contiguous()


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, image: Pixels) -> Pixels:
    """Encode and decode a picture uint8 (H, W, 3) whose sides are multiples of 8."""
    device = next(vae.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(device)
    y = vae.decode(vae.encode(signed_from_uint8(x)).latent_dist.mode()).sample
    return image_to_uint8(y)[0]


def _crops(images: Pixels, side: int, count: int, rng: np.random.Generator) -> Tensor:
    """Cut `count` random squares, half of them mirrored.

    In the same time many small crops teach a convolutional model more than few whole pictures.

    Args:
        images: uint8 (N, S, S, 3).
        side: of the crops, in pixels.

    Returns:
        (count, 3, side, side) in [-1, 1].
    """
    room = images.shape[1] - side
    out = np.empty((count, side, side, 3), np.uint8)
    for i in range(count):
        y, x = (int(v) for v in rng.integers(0, room + 1, 2))
        crop = images[rng.integers(len(images)), y : y + side, x : x + side]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return signed_from_uint8(channels_first(out))


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract neighbours of (B, 3, S, S), horizontally and vertically."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def _reconstruction_loss(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of pixels and of neighbour differences, and the mean squared error.

    Pixels are compared by the Charbonnier distance. The differences are weighted up because edges
    are what sketches are made of.
    """
    charbonnier = ((y - x).square() + 1e-4).sqrt().mean()
    edges = sum((a - b).abs().mean() for a, b in zip(_differences(y), _differences(x), strict=True))
    return charbonnier + 0.5 * edges, (y - x).square().mean()
