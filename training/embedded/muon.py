"""Muon (orthogonalised momentum) in the parameters' own precision.

torch.optim.Muon multiplies in bfloat16, which processors without it in hardware emulate: 6.6 s of
an embedded denoiser's step of 8 s on two cores (docs/results.md, "Training the embedded models").
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
# The quintic of the Newton-Schulz iteration, and how often it is applied: torch.optim.Muon's.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon with adjust_lr_fn="match_rms_adamw" and no weight decay, not rounded."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    update = self._momentum(matrix, matrix.grad)
                    rate = group["lr"] * 0.2 * math.sqrt(max(matrix.shape))
                    matrix.add_(orthogonalised(update), alpha=-rate)

    def _momentum(self, matrix: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        buffer: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(buffer, MOMENTUM)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Bring the singular values of a matrix (M, N) near 1 by Newton-Schulz; their vectors stay."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if wide.shape == matrix.shape else wide.T
