"""The losses of one-shot training and of distillation, as functions of tensors.

B: pictures, D: width of CLIP embeddings, C, H, W: channels and pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Average 1 - cos of the angles between vectors (B, D) over B: -> scalar in [0, 2]."""
    return (1 - F.cosine_similarity(a, b, dim=-1)).mean()


@dataclass(frozen=True)
class Embeddings:
    """CLIP embeddings (B, D) of the four pictures that the directional losses relate.

    Attributes:
        source: of the example's image.
        sketch: of the example's drawing.
        sample: of the generated image.
        sample_sketch: of what was drawn for it.
    """

    source: Tensor
    sketch: Tensor
    sample: Tensor
    sample_sketch: Tensor


@dataclass(frozen=True)
class DirectionalClip:
    """Directional CLIP loss: shifts between embeddings must point the same way (DiffSketch, eq. 3).

    The presets are the settings of known systems.

    Attributes:
        across: weight of the term across the two domains.
        within: weight of the term inside each.
        unit: whether embeddings are brought to unit length before they are subtracted.
    """

    across: float = 1.0
    within: float = 1.0
    unit: bool = True

    @classmethod
    def paper(cls) -> Self:
        """Return DiffSketch as published (5.1), unit embeddings as in the loss that it cites."""
        return cls(across=1.0, within=1.0, unit=True)

    @classmethod
    def public_code(cls) -> Self:
        """Return DiffSketch as released: embeddings subtracted at the encoder's own length."""
        return cls(across=1.0, within=1.0, unit=False)

    @classmethod
    def mind_the_gap(cls) -> Self:
        """Return Mind-the-Gap's default, which weighs the term inside the domains by half."""
        return cls(across=1.0, within=0.5, unit=True)

    def terms(self, e: Embeddings) -> dict[str, Tensor]:
        """Take the two terms before weighting.

        Returns:
            Scalars in [0, 2]. "across" compares sketch - source with sample_sketch - sample, from
            one domain to the other; "within" compares sample - source with sample_sketch - sketch,
            inside each domain.
        """
        source, sketch = self._scaled(e.source), self._scaled(e.sketch)
        sample, sample_sketch = self._scaled(e.sample), self._scaled(e.sample_sketch)
        return {
            "across": cosine_distance(sample_sketch - sample, sketch - source),
            "within": cosine_distance(sample - source, sample_sketch - sketch),
        }

    def loss(self, e: Embeddings) -> Tensor:
        """Weigh and add the two terms: -> scalar."""
        terms = self.terms(e)
        return self.across * terms["across"] + self.within * terms["within"]

    def _scaled(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding, dim=-1) if self.unit else embedding


def pixel_distance(prediction: Tensor, truth: Tensor, kind: Literal["l1", "l2"]) -> Tensor:
    """Average absolute ("l1", DiffSketch eq. 4) or squared ("l2", Mind-the-Gap) differences.

    Raises:
        ValueError: the kind is neither.
    """
    if kind == "l1":
        return F.l1_loss(prediction, truth)
    if kind == "l2":
        return F.mse_loss(prediction, truth)
    raise ValueError(f"pixel reconstruction {kind!r}: expected 'l1' or 'l2'")


def least_squares_gan(scores: Sequence[Tensor], real: bool) -> Tensor:
    """Average squared distances of patch scores to 1 (real) or 0, added over discriminators.

    The loss of LSGAN, for either side of it.
    """
    target = 1.0 if real else 0.0
    return torch.stack([(score - target).square().mean() for score in scores]).sum()


def feature_matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """Average the L1 between discriminators' maps of a fake and a real pair (Pix2PixHD, eq. 4).

    Args:
        fake: the maps (B, C, H, W) of each discriminator.
        real: likewise; this side carries no gradient.

    Returns:
        The mean over maps, then over discriminators: a scalar.
    """
    of_discriminators = []
    for fakes, reals in zip(fake, real, strict=True):
        pairs = zip(fakes, reals, strict=True)
        distances = [F.l1_loss(a, b.detach()) for a, b in pairs]
        of_discriminators.append(torch.stack(distances).mean())
    return torch.stack(of_discriminators).mean()
