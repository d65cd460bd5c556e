"""The embedded AutoencoderKL and its loss: factor 8, 14 decoder resnets, sharp edges first.

Shapes: B batch, S side in pixels, C latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.diffusion.taps import decoder_resnets, recording
from pipeline.pixels import channels_first, image_to_uint8, signed_from_uint8
from training.embedded.scenes.arrays import SceneArrays, step_rng

LATENT_CHANNELS = 8
FACTOR = 8  # pixels a latent, along each side
CROP = 96  # pixels a side of what is encoded
WINDOW = 64  # pixels a side of what is decoded
# What a border row's or column's mean square may have over the map's mean before it costs anything.
SPIKE_FREE = 2.0
SPIKE_WEIGHT = 0.05


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
    vae: AutoencoderKL,
    scenes: SceneArrays,
    photographs: Sequence[Pixels],
    seed: int,
    batch: int = 12,
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step: reconstruction, small features at borders, and a small KL term.

    A crop is encoded whole, and a random window of its latents is decoded: what the decoder could
    learn from a place outside the window is not there, so that no latent can carry what belongs to
    all of the picture.

    Args:
        vae: the model that learns.
        scenes: what it learns from, (N, S, S, 3).
        photographs: more of it, of any sizes from `CROP` on;
            a third of each batch.
        seed: of crops, windows and noise, together with the step.
        batch: crops of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(vae.parameters()).device

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        x = _crops(scenes.images, photographs, batch, rng).to(device)
        generator = torch.Generator(device).manual_seed(seed + step)
        top, left = (int(v) for v in rng.integers(0, (CROP - WINDOW) // FACTOR + 1, 2))
        # Processors without bfloat16 multiply it many times slower than float32.
        with (
            torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"),
            recording(decoder_resnets(vae)) as features,
        ):
            posterior = vae.encode(x).latent_dist
            latents = posterior.sample(generator)
            y = vae.decode(_window(latents, top, left, WINDOW // FACTOR)).sample
        x = _window(x, FACTOR * top, FACTOR * left, WINDOW)
        loss, squared = _reconstruction_loss(y.float(), x)
        spike = torch.stack([_border_excess(f.float()) for f in features.take()]).mean()
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        psnr = -10 * np.log10(squared.item() / 4)
        terms = {"psnr": psnr, "kl": kl.item(), "spike": spike.item()}
        return loss + SPIKE_WEIGHT * spike + 1e-5 * kl, terms

    return loss_fn


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: Pixels, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Encode uint8 (N, S, S, 3): -> posterior means and deviations, float16 (N, C, S/8, S/8)."""
    device = next(vae.parameters()).device
    means, deviations = [], []
    for i in range(0, len(images), batch):
        x = channels_first(images[i : i + batch], device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
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


def _crops(
    scenes: Pixels, photographs: Sequence[Pixels], count: int, rng: np.random.Generator
) -> Tensor:
    """Cut `count` random squares, half of them mirrored, a third from photographs if there are any.

    In the same time many small crops teach a convolutional model more than few whole pictures.

    Args:
        scenes: uint8 (N, S, S, 3).
        photographs: uint8 (H, W, 3) each.

    Returns:
        (count, 3, CROP, CROP) in [-1, 1].
    """
    of_photographs = count // 3 if photographs else 0
    out = np.empty((count, CROP, CROP, 3), np.uint8)
    for i in range(count):
        pictures = photographs if i < of_photographs else scenes
        picture = pictures[int(rng.integers(len(pictures)))]
        y, x = (int(rng.integers(0, side - CROP + 1)) for side in picture.shape[:2])
        crop = picture[y : y + CROP, x : x + CROP]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return signed_from_uint8(channels_first(out))


def _window(x: Tensor, top: int, left: int, side: int) -> Tensor:
    return x[..., top : top + side, left : left + side]


def _border_excess(features: Tensor) -> Tensor:
    """Measure how far rows and columns of (B, C, h, w) stand above their map's mean square.

    Returns:
        Their mean of (ratio of mean squares - SPIKE_FREE)+, a scalar; 0 where none stands out.
    """
    squared = features.square().mean((0, 1))  # (h, w)
    mean = squared.mean().detach() + 1e-8
    excess = [((squared.mean(axis) / mean) - SPIKE_FREE).clamp_min(0) for axis in (0, 1)]
    return torch.cat(excess).mean()


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
