"""Condition diffusion sampling for training, CDST (DiffSketch 4.3, D.2).

Shapes: N prompts, L tokens, D channels of the text encoder, K principal components.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.whole_file import write_tensors

# Directions whose variance is this small a part of the greatest one are rounding noise.
_RANK_TOLERANCE = 1e-7


def mixing(i: int, duration: int) -> tuple[float, float]:
    """Weights of the example's and of the random condition at sample i (equation 5).

    Returns:
        (a / (a + b), b / (a + b)) with a = sqrt(1 - i/S), b = sqrt(i/S); (0, 1) from i = S on.

    Raises:
        ValueError: i is negative or S is not positive.
    """
    if i < 0 or duration < 1:
        raise ValueError(f"CDST needs i >= 0 and a duration S >= 1; got i={i}, S={duration}")
    if i >= duration:
        return 0.0, 1.0
    a, b = math.sqrt(1 - i / duration), math.sqrt(i / duration)
    return a / (a + b), b / (a + b)


def condition(example: Tensor, drawn: Tensor, i: int, duration: int) -> Tensor:
    """Return C_i of equation 5 from the example's condition C and d_i ~ D_SD, both (..., L, D)."""
    return mixed(example, drawn, mixing(i, duration))


def mixed(example: Tensor, drawn: Tensor, weights: tuple[float, float]) -> Tensor:
    """Mix the example's condition and a random one, both (..., L, D), by weights of `mixing`."""
    alpha, beta = weights
    return alpha * example + beta * drawn


@dataclass(frozen=True)
class ConditionPrior:
    """D_SD: a multivariate normal in the PCA space of prompt embeddings (DiffSketch D.2).

    PCA scores are uncorrelated over the prompts they are fitted to, so that their covariance is the
    diagonal of `deviations` squared: no full covariance needs to be kept.
    """

    mean: Tensor  # (L, D)
    components: Tensor  # (K, L, D), orthonormal
    deviations: Tensor  # (K,), standard deviation of the scores, falling
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def fit(
        cls, embeddings: Tensor, components: int = 512, metadata: Mapping[str, str] | None = None
    ) -> ConditionPrior:
        """Fit D_SD to the embeddings of about 1,000 prompts.

        Args:
            embeddings: (N, L, D).
            components: the most principal components to keep; fewer are kept where the number of
                prompts or the rank allows fewer.
            metadata: what to note down with the prior (backbone, prompt list).

        Raises:
            ValueError: fewer than two different prompts.
        """
        if embeddings.ndim != 3 or len(embeddings) < 2:
            raise ValueError(
                f"a condition prior needs embeddings (N >= 2, L, D); got {tuple(embeddings.shape)}"
            )
        mean = embeddings.double().mean(0)
        x = (embeddings.double() - mean).flatten(1)  # (N, L D)
        # N is far below L D: the eigenvectors of the small N x N matrix give the principal axes.
        variance, vectors = torch.linalg.eigh(x @ x.T / (len(x) - 1))
        variance, vectors = variance.flip(0), vectors.flip(1)
        rank = int((variance > _RANK_TOLERANCE * variance[0]).sum()) if variance[0] > 0 else 0
        kept = min(components, rank)
        if kept == 0:
            raise ValueError(
                "a condition prior needs at least two different prompts; all are equal"
            )
        deviations = variance[:kept].sqrt()
        axes = vectors[:, :kept].T @ x / (deviations * math.sqrt(len(x) - 1))[:, None]
        return cls(
            mean=mean.float(),
            components=axes.unflatten(1, mean.shape).float(),
            deviations=deviations.float(),
            metadata=dict(metadata or {}),
        )

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one condition d ~ D_SD, float32 (L, D)."""
        return self.sample_many([generator])[0]

    def sample_many(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw one condition per generator, float32 (len(generators), L, D), in one product."""
        count = len(self.deviations)
        z = torch.stack(
            [torch.randn(count, generator=generator) for generator in generators]
        )  # (B, K)
        drawn = (z * self.deviations) @ self.components.flatten(1)  # (B, L D)
        return self.mean + drawn.unflatten(1, self.mean.shape)

    def stream(self, generators: Iterable[torch.Generator], batch: int = 64) -> Iterator[Tensor]:
        """Draw one condition per generator in batches (batch, L, D), the last one shorter.

        One batch is all that is ever held: at Stable Diffusion's size 30,000 conditions are 7 GB.
        """
        waiting = iter(generators)
        while some := list(islice(waiting, batch)):
            yield self.sample_many(some)

    def scores(self, embeddings: Tensor) -> Tensor:
        """Project embeddings (N, L, D) on the components: (N, K)."""
        centred = (embeddings - self.mean).flatten(1)
        return centred @ self.components.flatten(1).T

    def save(self, path: Path) -> None:
        """Write the prior to a safetensors file."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        write_tensors(path, tensors, {"facts": json.dumps(dict(self.metadata))})

    @classmethod
    def load(cls, path: Path) -> ConditionPrior:
        """Read a prior that `save` wrote.

        Raises:
            ValueError: the file is missing or broken.
        """
        if not path.is_file():
            raise ValueError(f"no condition prior at {path}: run `onesketch teach` first")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get("facts", "{}"))
                return cls(**{name: file.get_tensor(name) for name in _TENSORS}, metadata=metadata)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{path} cannot be read ({error}): make it again") from error


_TENSORS = ("mean", "components", "deviations")
