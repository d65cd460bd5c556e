"""Scores of generated pairs by CLIP: do they differ as the example does (DiffSketch D.1)?

B: pairs of a batch, H, W: pixels, D: width of CLIP embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.pixels import channels_first, unit_from_uint8
from training.encoders.clip import ClipEncoder
from training.evaluation.confidence import Domain, cosines
from training.tensor_hash import sha256_of_network

_DECIMALS = 6


class ClipAgreement:
    """Scores of each pair against the example alone, so that no pair's scores need another's.

    Three columns of the dataset's index:

    - `clip_agreement` is Sim_across, the cosine of image -> sketch with that of the example;
    - `clip_within` is Sim_within, the cosine of the example's image -> image with its sketch ->
      sketch;
    - `confidence` is 100 times the mean of the two, Sim of equation 6 between the example and this
      pair. That is equation 7 with Sim(ALL, ALL) = 1, which pairs in full agreement have: the
      dataset's own Sim(ALL, ALL) is not known while its samples are made. For the paper's scale
      divide by the column's mean over the dataset, which keeps the order.

    A direction without length, such as that from a picture to itself, agrees with nothing: 0.

    Attributes:
        fingerprint: SHA-256 of all that the scores depend on besides the pair, by name.
    """

    def __init__(self, clip: ClipEncoder, image: Pixels, drawing: Pixels) -> None:
        """Embed the example: image uint8 (H, W, 3), drawing uint8 (H, W)."""
        self.clip = clip
        self.example = self._embed(image[None], drawing[None])
        self.fingerprint = fingerprint_of_agreement(sha256_of_network(clip), image, drawing)

    def score(self, images: Pixels, sketches: Pixels) -> Sequence[Mapping[str, float]]:
        """Score pairs: images uint8 (B, H, W, 3), sketches uint8 (B, H, W), 255 = paper.

        Returns:
            The columns of each pair, in their order.
        """
        both = torch.cat(cosines(self.example, self._embed(images, sketches)))  # (2, B)
        within, across = both.masked_fill(both.isnan(), 0.0).tolist()
        return [
            {
                "clip_agreement": round(across[i], _DECIMALS),
                "clip_within": round(within[i], _DECIMALS),
                "confidence": round(50 * (across[i] + within[i]), _DECIMALS - 2),
            }
            for i in range(len(images))
        ]

    @torch.no_grad()
    def _embed(self, images: Pixels, sketches: Pixels) -> Domain:
        drawn = np.broadcast_to(sketches[..., None], (*sketches.shape, 3))
        pixels = np.stack([images, drawn])  # (2, B, H, W, 3)
        embedded = self.clip.image(self._to_model(pixels.reshape(-1, *pixels.shape[2:])))
        return Domain(*embedded.cpu().chunk(2))

    def _to_model(self, pixels: Pixels) -> Tensor:
        """Convert uint8 (2 B, H, W, 3) to float (2 B, 3, H, W) in [0, 1], moved as bytes."""
        return unit_from_uint8(channels_first(pixels, self.clip.mean.device))


def fingerprint_of_agreement(clip_sha256: str, image: Pixels, drawing: Pixels) -> dict[str, str]:
    """Return the fingerprint of a `ClipAgreement` by the hash of its CLIP.

    Args:
        clip_sha256: `training.tensor_hash.sha256_of_network` of the CLIP.
    """
    return {
        "clip/weights": clip_sha256,
        "example/image": canonical.sha256(image.tobytes()),
        "example/drawing": canonical.sha256(drawing.tobytes()),
    }
