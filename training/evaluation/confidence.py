"""How far directional CLIP losses can be trusted, within a domain and across two (DiffSketch D.1).

A, B, N: pairs of a domain, D: width of CLIP embeddings, which are of unit length throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# Squared length below which a direction is the rounding of two equal embeddings.
_NO_DIRECTION = 1e-10


@dataclass(frozen=True)
class Domain:
    """CLIP embeddings of one domain's images I_X and of their sketches S_X, both (N, D)."""

    images: Tensor
    sketches: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 2 or self.images.shape != self.sketches.shape:
            raise ValueError(
                "a domain needs as many sketches as images, (N, D) each; got "
                f"{tuple(self.images.shape)} and {tuple(self.sketches.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def joined(self, other: Domain) -> Domain:
        """Return both domains as one."""
        return Domain(
            torch.cat([self.images, other.images]), torch.cat([self.sketches, other.sketches])
        )


def cosines(a: Domain, b: Domain) -> tuple[Tensor, Tensor]:
    """Take the two cosines of equation 6 for every pair of `a` with every pair of `b`.

    Returns:
        Within, cos(I_a -> I_b, S_a -> S_b), and across, cos(I_a -> S_a, I_b -> S_b), float64 (A, B)
        each; NaN where one of the directions has no length.
    """
    # From dot products alone: the directions themselves would be A x B x D numbers.
    i_a, s_a, i_b, s_b = (x.double() for x in (a.images, a.sketches, b.images, b.sketches))
    dot_a, dot_b = (i_a * s_a).sum(1), (i_b * s_b).sum(1)
    dot = dot_b[None] - i_a @ s_b.T - s_a @ i_b.T + dot_a[:, None]
    within = _cosine(dot, _squared(i_a, i_b), _squared(s_a, s_b))
    d_a, d_b = s_a - i_a, s_b - i_b
    across = _cosine(d_a @ d_b.T, d_a.square().sum(1)[:, None], d_b.square().sum(1)[None])
    return within, across


def similarity(a: Domain, b: Domain) -> float:
    """Measure Sim(X, Y) between two domains, the mean over all their cosines (equation 6)."""
    return _mean(torch.stack(cosines(a, b)))


def similarity_within(domain: Domain) -> float:
    """Measure Sim(X, X), the mean over all cosines between two different pairs of one domain.

    Raises:
        ValueError: there are fewer than two pairs.
    """
    if len(domain) < 2:
        raise ValueError(f"Sim(X, X) needs two or more pairs in a domain; got {len(domain)}")
    once = torch.ones(len(domain), len(domain), dtype=torch.bool).triu(1)
    return _mean(torch.stack(cosines(domain, domain))[:, once])


def confidences(a: Domain, b: Domain) -> Mapping[str, float]:
    """Work out one column of Table 5: equation 7 for "a,a", "b,b" and "a,b", in per cent.

    Sim(ALL, ALL) is the similarity within the union of both domains.

    Raises:
        ValueError: a domain has fewer than two pairs, or Sim(ALL, ALL) is not positive, so that a
            ratio to it says nothing.
    """
    of_all = similarity_within(a.joined(b))
    if not of_all > 0:
        raise ValueError(
            f"Sim(ALL, ALL) is {of_all:.3g}: images and sketches of these domains share no "
            "direction, so that no confidence can be stated. Compare other domains"
        )
    return {
        "a,a": 100 * similarity_within(a) / of_all,
        "b,b": 100 * similarity_within(b) / of_all,
        "a,b": 100 * similarity(a, b) / of_all,
    }


def _squared(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances between rows (A, D) and (B, D): (A, B)."""
    return x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.T


def _cosine(dot: Tensor, squared_a: Tensor, squared_b: Tensor) -> Tensor:
    defined = (squared_a > _NO_DIRECTION) & (squared_b > _NO_DIRECTION)
    return torch.where(defined, dot / (squared_a * squared_b).clamp_min(0).sqrt(), torch.nan)


def _mean(cosine: Tensor) -> float:
    # Two copies of one picture have no direction between them, and so no cosine.
    defined = cosine[~cosine.isnan()]
    return float(defined.mean()) if len(defined) else 0.0
