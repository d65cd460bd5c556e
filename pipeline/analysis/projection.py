"""Random projection of features that are too long to keep: a count sketch, folded by blocks.

Shapes: B images, L tensors of N values an image, D dimensions of a projection, M blocks of D.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.seeds import generator

# Values of one image folded at a time, which bounds temporary memory whatever the layer's size.
_CHUNK_VALUES = 2**20


class Projection:
    """A linear map of a list of tensors to D dimensions that nearly keeps distances.

    Every block of D neighbouring values gets random signs, is rotated by a random offset, and is
    added to the sum. Two values of different blocks meet with probability 1/D and two of one block
    never, so that E |P x|^2 = |x|^2 and Var |P x|^2 <= 2/D |x|^4: a count sketch (Charikar, Chen,
    Farach-Colton 2002), whose deviation in relative distance is at most sqrt(1 / (2 D)) to first
    order, whatever N. No matrix is made: only a sign byte per value and an offset per block.
    """

    def __init__(self, lengths: Sequence[int], dims: int, seed: int) -> None:
        """Draw the signs and offsets of tensors with `lengths` values an image.

        Raises:
            ValueError: there is no tensor, or the number of dimensions is not positive.
        """
        if not lengths or dims < 1:
            raise ValueError(
                f"a projection needs tensors and 1 or more dimensions; got {len(lengths)} tensors "
                f"and {dims} dimensions"
            )
        self.lengths = tuple(lengths)
        self.dims = dims
        self._signs: list[Tensor] = []
        self._offsets: list[Tensor] = []
        for layer, length in enumerate(lengths):
            draw = generator(seed, layer, "projection")
            blocks = -(-length // dims)
            bits = torch.randint(0, 2, (blocks, dims), generator=draw, dtype=torch.int8)
            self._signs.append(2 * bits - 1)
            self._offsets.append(torch.randint(0, dims, (blocks,), generator=draw))

    @property
    def size_bytes(self) -> int:
        """Memory that the map itself takes."""
        tensors = [*self._signs, *self._offsets]
        return sum(x.numel() * x.element_size() for x in tensors)

    def to(self, device: torch.device | str) -> Projection:
        """Move the map to a device and return it."""
        self._signs = [x.to(device) for x in self._signs]
        self._offsets = [x.to(device) for x in self._offsets]
        return self

    def __call__(self, features: Sequence[Tensor], weights: Tensor) -> Tensor:
        """Project tensors (B, ...), each multiplied by its weight (L,), as one vector: (B, D)."""
        return (self.parts(features) * weights[:, None]).sum(1)

    def parts(self, features: Sequence[Tensor]) -> Tensor:
        """Project every tensor (B, ...) by itself: float32 (B, L, D), of which the sum is P x.

        Raises:
            ValueError: the map was made for tensors of other sizes.
        """
        lengths = tuple(feature[0].numel() for feature in features)
        if lengths != self.lengths:
            raise ValueError(f"expected features of {self.lengths} values; got {lengths}")
        layers = zip(features, self._signs, self._offsets, strict=True)
        return torch.stack([self._fold(x.flatten(1), signs, offs) for x, signs, offs in layers], 1)

    def _fold(self, x: Tensor, signs: Tensor, offsets: Tensor) -> Tensor:
        """Project a tensor (B, N) by signs (M, D) and offsets (M,): (B, D)."""
        folded = torch.zeros(len(x), self.dims, device=x.device)
        places = torch.arange(self.dims, device=x.device)
        step = max(1, _CHUNK_VALUES // self.dims)
        for first in range(0, len(signs), step):
            chunk = slice(first, first + step)
            values = x[:, first * self.dims : (first + step) * self.dims].float()
            missing = signs[chunk].numel() - values.shape[1]
            blocks = F.pad(values, (0, missing)).unflatten(1, (-1, self.dims))
            # A rotation is a gather: unlike a scattered sum, it is deterministic on every device.
            source = (places - offsets[chunk, None]) % self.dims  # (M, D)
            rotated = (blocks * signs[chunk]).gather(2, source.expand_as(blocks))  # (B, M, D)
            folded += rotated.sum(1)
        return folded
