"""SHA-256 of tensors: identifies the weights that a training or a score depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def sha256_of_tensors(tensors: Iterable[Tensor]) -> str:
    """Return the SHA-256 of the bytes of tensors in their order; names and shapes do not count."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def sha256_of_network(network: object) -> str:
    """Return the SHA-256 of a network's tensors with names, shapes and formats.

    Raises:
        TypeError: it is no torch module, so that nothing is known of its tensors.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"expected a torch module to hash; got {type(network).__name__}")
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> bytes:
    # Seen as bytes, since NumPy has no bfloat16.
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
