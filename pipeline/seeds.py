"""Randomness by address: every stream of sample i is a pure function of (seed, i)."""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, index: int, stream: str) -> int:
    """Return the seed of one named stream of sample `index` of the dataset `seed`.

    SHA-256 keeps neighbouring samples and streams unrelated, which seed + index would not. Of its
    first 64 bits 63 are kept, so that the seed fits a signed column of the index.
    """
    digest = hashlib.sha256(f"{stream}:{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, index: int, stream: str) -> torch.Generator:
    """Return a CPU generator for one stream; on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(stream_seed(seed, index, stream))
