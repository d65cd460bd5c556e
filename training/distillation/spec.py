"""What distillation starts from, how it is carried out, and the fingerprint of its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline import canonical
from pipeline.pixels import Pixels
from pipeline.recipe import Distill
from training.distillation.schedule import CONSTANT_SHARE
from training.encoders.features import FeatureNetwork
from training.tensor_hash import sha256_of_network

FORMAT = 1  # of the training itself; raised when the same spec would give other weights


@dataclass(frozen=True)
class DistillationSpec:
    """All that fixes the outcome of distillation (method.md section 6).

    dataset: its folder or s3://bucket/prefix; image, drawing: the one true pair, uint8 (H, W, 3)
    and uint8 (H, W) with 255 = paper; features: location of the feature network, see
    `training.encoders.features.load_features`; flip: mirror half of the pairs, as pix2pixHD does;
    provenance: JSON-able metadata that go into the extractor's config unread.
    """

    distill: Distill
    dataset: str
    image: Pixels
    drawing: Pixels
    features: str
    flip: bool = True
    constant_share: float = CONSTANT_SHARE
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def identity(self, dataset_sha256: str, features: FeatureNetwork) -> dict[str, Any]:
        """Settings and fingerprints, flat and JSON-able: equal for equal outcomes.

        The number of workers is left out: they share each batch, so that they change the time
        that training takes, and its outcome by rounding only (which training amplifies).
        """
        settings = self.distill.model_dump(mode="json", exclude={"workers"})
        return {
            "format": FORMAT,
            **{f"distill.{key}": value for key, value in settings.items()},
            "flip": self.flip,
            "constant_share": self.constant_share,
            "dataset": dataset_sha256,
            "image": canonical.sha256(self.image.tobytes()),
            "drawing": canonical.sha256(self.drawing.tobytes()),
            "feature weights": sha256_of_network(features),
        }


@dataclass(frozen=True)
class Execution:
    """How a spec is carried out: none of it is meant to change the outcome.

    dtype: of convolutions, by autocast; checkpoint_every: iterations; threads: that decode pairs;
    cache: where shards from s3 are kept, beside the training's own files by default, and how many
    bytes of them at most.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    checkpoint_every: int = 500
    threads: int = 2
    cache: Path | None = None
    cache_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(
                f"training in {self.dtype}: expected float32 or bfloat16, whose "
                "range gradients fit without scaling"
            )
