"""The objective of one-shot training: equations 3 and 4 of DiffSketch.

B: pictures, H, W: pixels, D: width of CLIP embeddings. Pictures are in [-1, 1], drawings in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from pipeline.pixels import signed_from_unit, unit_from_signed
from pipeline.recipe.diffsketch import DiffSketchTeach
from training.encoders.clip import ClipEncoder
from training.encoders.lpips import Perceptual
from training.losses import DirectionalClip, Embeddings, cosine_distance, pixel_distance

TERMS = ("across", "within", "pixel", "lpips", "clip")


@dataclass(frozen=True)
class Objective:
    """The losses of a training, with the constant part of the example precomputed.

    Attributes:
        drawing: I_sketch, (1, 1, H, W).
        drawing_slices: the perceptual network's feature maps of I_sketch.
        source, sketch: embeddings of I_source and I_sketch, (1, D).
        weights: one for each of TERMS.
    """

    clip: ClipEncoder
    perceptual: Perceptual
    drawing: Tensor
    drawing_slices: list[Tensor]
    source: Tensor
    sketch: Tensor
    weights: dict[str, float]
    reconstruction: Literal["l1", "l2"]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        image: Tensor,
        drawing: Tensor,
        teach: DiffSketchTeach,
        clip: ClipEncoder,
        perceptual: Perceptual,
    ) -> Self:
        """Prepare the objective for I_source, (1, 3, H, W), and I_sketch, (1, 1, H, W)."""
        w = teach.weights
        return cls(
            clip=clip,
            perceptual=perceptual,
            drawing=drawing,
            drawing_slices=perceptual.slices(signed_from_unit(drawing)),
            source=clip.image(unit_from_signed(image.float())),
            sketch=clip.image(drawing),
            weights={
                "across": w.across,
                "within": w.within,
                "pixel": w.l1,
                "lpips": w.lpips,
                "clip": w.clip,
            },
            reconstruction=teach.reconstruction,
        )

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Embed samples, ahead of training: (B, 3, H, W) in [-1, 1] -> (B, D)."""
        return self.clip.image(unit_from_signed(images.float()))

    def terms(self, drawn: Tensor, sample: Tensor) -> dict[str, Tensor]:
        """Return all terms before weighting, scalars.

        Args:
            drawn: G_sketch's drawings of the example's image and of the sample, (2, 1, H, W) in
                [0, 1].
            sample: the sample's embedding, (1, D).
        """
        reconstruction = drawn[:1]
        embedded = self.clip.image(drawn)  # (2, D)
        directional = DirectionalClip.paper().terms(
            Embeddings(self.source, self.sketch, sample, embedded[1:])
        )
        slices = self.perceptual.slices(signed_from_unit(reconstruction))
        return {
            **directional,
            "pixel": pixel_distance(reconstruction, self.drawing, self.reconstruction),
            "lpips": self.perceptual.between(slices, self.drawing_slices).mean(),
            "clip": cosine_distance(embedded[:1], self.sketch),
        }

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum, L of equation 3: scalar."""
        return torch.stack([self.weights[name] * terms[name] for name in TERMS]).sum()
