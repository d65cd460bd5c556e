"""Scores of generated pairs by CLIP: whether image and sketch differ as in the known pair.

B: pairs of a batch, H, W: pixels, D: width of CLIP embeddings.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import canonical
from pipeline.pixels import channels_first, unit_from_uint8
from training.encoders.clip import ClipEncoder
from training.evaluation.confidence import Domain, cosines
from training.tensor_hash import sha256_of_network

_DECIMALS = 6


class ClipAgreement:
    """Scores each pair against the known pair alone, so that no pair's scores need another's.

    Columns: `clip_agreement` is Sim_across, the cosine of image -> sketch with that of the known
    pair; `clip_within` is Sim_within, the cosine of known image -> image with known sketch ->
    sketch; `confidence` is 100 times the mean of the two, Sim of equation 6 between the known pair
    and this one. That is equation 7 with Sim(ALL, ALL) = 1, which pairs in full agreement have: the
    dataset's own Sim(ALL, ALL) is not known while its samples are made. For the paper's scale
    divide by the column's mean over the dataset: the order stays the same.
    A direction without length, such as that from a picture to itself, agrees with nothing: 0.
    """

    def __init__(
        self, clip: ClipEncoder, image: NDArray[np.uint8], drawing: NDArray[np.uint8]
    ) -> None:
        """Embed the known pair: image uint8 (H, W, 3), drawing uint8 (H, W)."""
        self.clip = clip
        self.example = self._embed(image[None], drawing[None])
        self.fingerprint = {
            "clip/weights": sha256_of_network(clip),
            "example/image": canonical.sha256(image.tobytes()),
            "example/drawing": canonical.sha256(drawing.tobytes()),
        }

    def score(
        self, images: NDArray[np.uint8], sketches: NDArray[np.uint8]
    ) -> Sequence[Mapping[str, float]]:
        """Score images uint8 (B, H, W, 3) with sketches uint8 (B, H, W), 255 = paper."""
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
    def _embed(self, images: NDArray[np.uint8], sketches: NDArray[np.uint8]) -> Domain:
        drawn = np.broadcast_to(sketches[..., None], (*sketches.shape, 3))
        pixels = np.stack([images, drawn])  # (2, B, H, W, 3)
        embedded = self.clip.image(self._to_model(pixels.reshape(-1, *pixels.shape[2:])))
        return Domain(*embedded.cpu().chunk(2))

    def _to_model(self, pixels: NDArray[np.uint8]) -> Tensor:
        """uint8 (2 B, H, W, 3) -> float (2 B, 3, H, W) in [0, 1], bytes crossing to the device."""
        return unit_from_uint8(channels_first(pixels, self.clip.mean.device))
