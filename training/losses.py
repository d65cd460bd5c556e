"""The losses of one-shot training and of distillation, as functions of tensors.

B: pictures, D: width of CLIP embeddings, C, H, W: channels and pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cos of the angle between vectors (B, D), averaged over B: scalar in [0, 2]."""
    return (1 - functional.cosine_similarity(a, b, dim=-1)).mean()


@dataclass(frozen=True)
class Embeddings:
    """CLIP embeddings (B, D) of the four pictures that the directional losses relate.

    source and sketch are the known pair, sample and sample_sketch the generated one.
    """

    source: Tensor
    sketch: Tensor
    sample: Tensor
    sample_sketch: Tensor


@dataclass(frozen=True)
class DirectionalClip:
    """Directional CLIP loss: shifts between embeddings must point the same way (paper, eq. 3).

    across, within: weights of the two terms; unit: whether embeddings are brought to unit length
    before they are subtracted. The presets are the settings of known systems.
    """

    across: float = 1.0
    within: float = 1.0
    unit: bool = True

    @classmethod
    def paper(cls) -> Self:
        """DiffSketch as published (5.1), unit embeddings as in the loss that it cites."""
        return cls(across=1.0, within=1.0, unit=True)

    @classmethod
    def public_code(cls) -> Self:
        """DiffSketch as released: embeddings are subtracted at the length the encoder gives."""
        return cls(across=1.0, within=1.0, unit=False)

    @classmethod
    def mind_the_gap(cls) -> Self:
        """Mind-the-Gap's default setting, which weighs the within-domain term by half."""
        return cls(across=1.0, within=0.5, unit=True)

    def terms(self, e: Embeddings) -> dict[str, Tensor]:
        """The two terms before weighting, scalars in [0, 2].

        across: sketch - source against sample_sketch - sample (from one domain to the other);
        within: sample - source against sample_sketch - sketch (inside each domain).
        """
        source, sketch = self._scaled(e.source), self._scaled(e.sketch)
        sample, sample_sketch = self._scaled(e.sample), self._scaled(e.sample_sketch)
        return {
            "across": cosine_distance(sample_sketch - sample, sketch - source),
            "within": cosine_distance(sample - source, sample_sketch - sketch),
        }

    def loss(self, e: Embeddings) -> Tensor:
        """Weighted sum of the two terms: scalar."""
        terms = self.terms(e)
        return self.across * terms["across"] + self.within * terms["within"]

    def _scaled(self, embedding: Tensor) -> Tensor:
        return functional.normalize(embedding, dim=-1) if self.unit else embedding


def pixel_distance(prediction: Tensor, truth: Tensor, kind: str) -> Tensor:
    """Mean absolute ("l1", eq. 4) or mean squared ("l2", as Mind-the-Gap) difference: scalar."""
    if kind == "l1":
        return functional.l1_loss(prediction, truth)
    if kind == "l2":
        return functional.mse_loss(prediction, truth)
    raise ValueError(f"pixel reconstruction {kind!r}: expected 'l1' or 'l2'")


def least_squares_gan(scores: Sequence[Tensor], real: bool) -> Tensor:
    """LSGAN: squared distance of patch scores to 1 (real) or 0, summed over discriminators."""
    target = 1.0 if real else 0.0
    return torch.stack([(score - target).square().mean() for score in scores]).sum()


def feature_matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """Mean L1 between a discriminator's feature maps of a fake and a real pair (Pix2PixHD, eq. 4).

    fake, real: a list of maps (B, C, H, W) per discriminator. Averaged over maps and over
    discriminators; the real side carries no gradient.
    """
    of_discriminators = []
    for fakes, reals in zip(fake, real, strict=True):
        pairs = zip(fakes, reals, strict=True)
        distances = [functional.l1_loss(a, b.detach()) for a, b in pairs]
        of_discriminators.append(torch.stack(distances).mean())
    return torch.stack(of_discriminators).mean()
