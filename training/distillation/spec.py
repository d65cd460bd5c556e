"""What distillation starts from, how it is carried out, and what identifies its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.recipe.recipe import Distill
from pipeline.storage.node_cache import NodeCache
from training.distillation.schedule import CONSTANT_SHARE
from training.encoders.features import FeatureNetwork
from training.tensor_hash import sha256_of_network

FORMAT = 2  # of the training itself; raised when the same spec would give other weights


@dataclass(frozen=True)
class DistillationSpec:
    """All that fixes the outcome of distillation (DiffSketch 4.4, 5.1).

    Attributes:
        distill: the recipe's settings.
        datasets: folder or s3://bucket/prefix of each, that of the run first.
        image: of the one true pair, uint8 (H, W, 3).
        drawing: of the one true pair, uint8 (H, W), 255 = paper.
        features: where the feature network is, see `training.encoders.features.load_features`.
        flip: mirror half of the pairs, as pix2pixHD does.
        constant_share: share of the training before the learning rate falls.
        provenance: JSON-able metadata that go into the extractor's config unread.
    """

    distill: Distill
    datasets: tuple[str, ...]
    image: Pixels
    drawing: Pixels
    features: str
    flip: bool = True
    constant_share: float = CONSTANT_SHARE
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def identity(self, dataset_sha256s: Sequence[str], features: FeatureNetwork) -> dict[str, Any]:
        """Collect settings and hashes, flat and JSON-able: equal for equal outcomes.

        The number of workers is left out: they share each batch, so that they change the time
        that training takes, and its outcome by rounding only (which training amplifies).

        Args:
            dataset_sha256s: of each dataset's manifest, which fixes every shard.
            features: the feature network, whose weights are hashed.
        """
        # Where the other datasets lie does not matter, but what they are.
        settings = self.distill.model_dump(mode="json", exclude={"workers", "also"})
        own, *also = dataset_sha256s
        return {
            "format": FORMAT,
            **{f"distill.{key}": value for key, value in settings.items()},
            "flip": self.flip,
            "constant_share": self.constant_share,
            "dataset": own,
            **({"also": also} if also else {}),
            "image": canonical.sha256(self.image.tobytes()),
            "drawing": canonical.sha256(self.drawing.tobytes()),
            "feature weights": sha256_of_network(features),
        }


@dataclass(frozen=True)
class Execution:
    """How a spec is carried out: none of it is meant to change the outcome.

    Attributes:
        device: where the networks run.
        dtype: of convolutions, by autocast.
        record_every: iterations from one reading of losses to the next, which a GPU waits for;
            only there a training saves, and stops when asked.
        checkpoint_every_s: seconds from one checkpoint to the next, at least.
        threads: how many decode pairs.
        cache: of each rank's node, for shards and weights that come from a store.
        micro_batch: the most pairs that a rank computes with at once, where its share of the batch
            does not fit into memory; gradients are added up. None: all of them.
        compile: compile the networks with torch.compile; None: where device and machine can.

    Raises:
        ValueError: the dtype is neither float32 nor bfloat16, or the micro-batch holds no pair.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    record_every: int = 10
    checkpoint_every_s: float = 60.0
    threads: int = 2
    cache: NodeCache = NodeCache()
    micro_batch: int | None = None
    compile: bool | None = None

    def __post_init__(self) -> None:
        if self.dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(
                f"training in {self.dtype}: expected float32 or bfloat16, whose "
                "range gradients fit without scaling"
            )
        if self.micro_batch is not None and self.micro_batch < 1:
            raise ValueError(f"micro_batch: expected 1 pair or more, got {self.micro_batch}")
