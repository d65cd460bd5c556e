"""Taps: the features of UNet and VAE decoder that sampling leaves behind (docs/glossary.md).

Shapes: B images, C channels, h x w pixels; L UNet decoder resnets, 12 in Stable Diffusion;
branches: the UNet's evaluations per step, (uncond, cond) with guidance, one without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pipeline.diffusion.backbone import Backbone

if TYPE_CHECKING:
    # Imported here alone: diffusers costs seconds that only processes with a model owe.
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Taps:
    """Features of a batch of samples.

    `unet` maps a step t, counted from the END (0 = the last step), to L tensors f_{l,t} of
    (B, branches, C_l, h_l, w_l), axis 1 = (uncond, cond); `vae` holds v_n, (B, C_n, h_n, w_n).
    """

    unet: dict[int, list[Tensor]] = field(default_factory=dict)
    vae: list[Tensor] = field(default_factory=list)

    def map(self, change: Callable[[Tensor], Tensor]) -> Taps:
        """Return taps with `change` applied to every tensor."""
        unet = {t: [change(f) for f in features] for t, features in self.unet.items()}
        return Taps(unet, [change(v) for v in self.vae])

    def images(self, start: int, stop: int) -> Taps:
        """Return the taps of images start to stop - 1 of the batch (views, no copy)."""
        return self.map(lambda x: x[start:stop])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Taps:
        """Return the taps on a device and, where given, in a dtype."""
        return self.map(lambda x: x.to(device, dtype or x.dtype))

    @property
    def size_bytes(self) -> int:
        """Memory that the tensors' elements take."""
        tensors = [f for features in self.unet.values() for f in features] + self.vae
        return sum(x.numel() * x.element_size() for x in tensors)


@dataclass(frozen=True)
class TapShapes:
    """Shapes (C, h, w) of all taps of a backbone.

    `first_level` is l_md: the layers before the UNet's last up block, 9 in Stable Diffusion.
    """

    unet: tuple[Shape, ...]
    vae: tuple[Shape, ...]
    first_level: int
    image_size: int
    branches: int

    @classmethod
    def of(cls, backbone: Backbone, branches: int) -> TapShapes:
        """Read the shapes off the modules, without running the backbone."""
        blocks: list[Any] = list(backbone.unet.up_blocks)
        sizes = [backbone.latent_shape[1]]
        for _ in blocks[1:]:
            sizes.insert(0, -(-sizes[0] // 2))  # a stride-2 convolution halves, rounding up
        unet = [
            (resnet.conv2.out_channels, size, size)
            for block, size in zip(blocks, sizes, strict=True)
            for resnet in block.resnets
        ]
        return cls(
            unet=tuple(unet),
            vae=tuple(_vae_shapes(backbone)),
            first_level=len(unet) - len(blocks[-1].resnets),
            image_size=backbone.image_size,
            branches=branches,
        )


def _vae_shapes(backbone: Backbone) -> Iterator[Shape]:
    size = backbone.latent_shape[1]
    decoder: Any = backbone.vae.decoder
    yield from ((r.out_channels, size, size) for r in decoder.mid_block.resnets)
    for block in decoder.up_blocks:
        yield from ((r.out_channels, size, size) for r in block.resnets)
        size *= 2 if block.upsamplers else 1


def unet_modules(backbone: Backbone) -> list[nn.Module]:
    """Modules whose outputs are f_l: the second convolution of each UNet decoder resnet.

    Its output is the branch before the residual sum, since dropout comes before it.
    """
    blocks: list[Any] = list(backbone.unet.up_blocks)
    return [resnet.conv2 for block in blocks for resnet in block.resnets]


def vae_modules(backbone: Backbone) -> list[nn.Module]:
    """Modules whose outputs are v_n: the resnets of the VAE decoder, middle block first."""
    return decoder_resnets(backbone.vae)


def decoder_resnets(vae: AutoencoderKL) -> list[nn.Module]:
    """Modules whose outputs are v_n, of a VAE by itself."""
    decoder: Any = vae.decoder
    blocks = [decoder.mid_block, *decoder.up_blocks]
    return [resnet for block in blocks for resnet in block.resnets]


@contextmanager
def recording(
    modules: Sequence[nn.Module], change: Callable[[int, Tensor], Tensor] | None = None
) -> Iterator[Recorder]:
    """Record the outputs of `modules`, in their order, while the context is open.

    `change(n, output)` may replace what is kept of module n, so that a big feature need not live
    until the last one is there.
    """
    recorder = Recorder(len(modules), change)
    handles = [module.register_forward_hook(recorder.hook(n)) for n, module in enumerate(modules)]
    try:
        yield recorder
    finally:
        for handle in handles:
            handle.remove()


class Recorder:
    """Keeps the latest outputs of hooked modules; made by `recording`."""

    def __init__(self, count: int, change: Callable[[int, Tensor], Tensor] | None) -> None:
        self.active = True
        self._change = change
        self._outputs: list[Tensor | None] = [None] * count

    def hook(self, n: int) -> Callable[[nn.Module, object, Tensor], None]:
        """Return the forward hook of module n."""

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            if self.active:
                self._outputs[n] = self._change(n, output) if self._change else output

        return keep

    def take(self) -> list[Tensor]:
        """Return what was recorded since the last call, and forget it."""
        taken = [output for output in self._outputs if output is not None]
        assert len(taken) == len(self._outputs), "a tapped module did not run"
        self._outputs = [None] * len(taken)
        return taken
