"""Hashes of tensors: what they tell apart."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from training.tensor_hash import sha256_of_network, sha256_of_tensors


def test_the_hash_is_that_of_the_bytes() -> None:
    a, b = torch.arange(6, dtype=torch.float32).view(2, 3), torch.tensor([1, 2], dtype=torch.int64)
    expected = hashlib.sha256(a.T.numpy().tobytes() + b.numpy().tobytes()).hexdigest()
    assert sha256_of_tensors([a.T, b]) == expected
    assert sha256_of_tensors([b, a.T]) != expected
    assert len(sha256_of_tensors([torch.ones(3, dtype=torch.bfloat16)])) == 64


def test_networks_differ_in_values_names_shapes_and_formats() -> None:
    def network(**tensors: torch.Tensor) -> nn.Module:
        module = nn.Module()
        for name, tensor in tensors.items():
            module.register_buffer(name, tensor)
        return module

    zeros = torch.zeros(2, 3)
    hashes = [
        sha256_of_network(network(a=zeros)),
        sha256_of_network(network(b=zeros)),
        sha256_of_network(network(a=zeros.view(3, 2))),
        sha256_of_network(network(a=zeros.view(torch.int32))),
        sha256_of_network(network(a=zeros + 1)),
    ]
    assert len(set(hashes)) == len(hashes)
    assert sha256_of_network(network(a=zeros)) == hashes[0]
