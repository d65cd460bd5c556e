"""Trains the embedded AutoencoderKL: factor 8, 14 decoder resnets, sharp edges first.

Shapes: B batch, S side in pixels, C latent channels.
"""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from pipeline.pixels import channels_first, image_to_uint8, signed_from_uint8
from training.embedded.scenes.arrays import SceneArrays, step_rng

LATENT_CHANNELS = 8


def new_autoencoder() -> AutoencoderKL:
    """The embedded VAE with random weights; same topology as Stable Diffusion's, narrower.

    Every residual branch starts at zero, so training starts from a nearly linear autoencoder: most
    of what short training can reach is linear (eight components of 8 px patches keep 27.5 dB)."""
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
    """Starts every diffusers resnet as its shortcut: the last convolution of the branch is zero."""
    for part in module.modules():
        if isinstance(part, ResnetBlock2D):
            nn.init.zeros_(part.conv2.weight)


def crops(images: np.ndarray, side: int, count: int, rng: np.random.Generator) -> Tensor:
    """`count` random crops, half of them mirrored: (N, S, S, 3) uint8 -> (count, 3, side, side) in
    [-1, 1]. Many small crops teach a convolutional model more a second than few whole pictures."""
    room = images.shape[1] - side
    out = np.empty((count, side, side, 3), np.uint8)
    for i in range(count):
        y, x = (int(v) for v in rng.integers(0, room + 1, 2))
        crop = images[rng.integers(len(images)), y : y + side, x : x + side]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return signed_from_uint8(channels_first(out))


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical neighbour differences of (B, 3, S, S)."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def reconstruction_loss(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Charbonnier distance of pixels and of neighbour differences, and the mean squared error.

    The differences are weighted up because edges are what sketches are made of."""
    charbonnier = ((y - x).square() + 1e-4).sqrt().mean()
    edges = sum((a - b).abs().mean() for a, b in zip(differences(y), differences(x), strict=True))
    return charbonnier + 0.5 * edges, (y - x).square().mean()


def autoencoder_loss(
    vae: AutoencoderKL, scenes: SceneArrays, seed: int, side: int = 64, batch: int = 8
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Loss of one step: reconstruction and a small Kullback-Leibler term, for centred latents."""
    device = next(vae.parameters()).device

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        x = crops(scenes.images, side, batch, step_rng(seed, step)).to(device)
        generator = torch.Generator(device).manual_seed(seed + step)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample(generator)).sample
        loss, squared = reconstruction_loss(y.float(), x)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        psnr = -10 * np.log10(squared.item() / 4)
        return loss + 1e-5 * kl, {"psnr": psnr, "kl": kl.item()}

    return loss_fn


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: np.ndarray, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Posterior means and standard deviations of (N, S, S, 3) uint8, each (N, C, S/8, S/8) fp16."""
    device = next(vae.parameters()).device
    means, deviations = [], []
    for i in range(0, len(images), batch):
        x = torch.from_numpy(images[i : i + batch]).permute(0, 3, 1, 2).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = vae.encode(signed_from_uint8(x)).latent_dist
        means.append(posterior.mean.half().cpu())
        deviations.append(posterior.std.half().cpu())
    return torch.cat(means).contiguous(), torch.cat(deviations).contiguous()


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 through the VAE and back; sides multiples of 8."""
    device = next(vae.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(device)
    y = vae.decode(vae.encode(signed_from_uint8(x)).latent_dist.mode()).sample
    return image_to_uint8(y)[0]
