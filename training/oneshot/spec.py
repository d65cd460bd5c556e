"""What one-shot training starts from, and the identity that tells one training from another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor, nn

from pipeline.canonical import sha256
from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.example import ExamplePair, Generated
from pipeline.diffusion.sampling import Sample
from pipeline.recipe.diffsketch import DiffSketchTeach
from pipeline.recipe.recipe import Sampling
from training.encoders.clip import ClipEncoder
from training.encoders.lpips import Perceptual
from training.tensor_hash import sha256_of_tensors

FORMAT = 1  # of the training itself; raised when the same spec would give other weights
# Where files lie; what is in them counts, and is hashed.
LOCATIONS = {"clip", "perceptual", "prompts"}


@dataclass(frozen=True)
class OneShotSpec:
    """All that fixes the outcome of one-shot training (DiffSketch 4.2, 4.3, 5.1).

    Attributes:
        backbone: its device is where everything runs.
        timesteps: the tapped steps, counted from the END.
        example: the pair's image with its taps where they are known (by inversion), a batch of 1;
            by default it is sampled again from the pair's noise.
    """

    pair: ExamplePair
    backbone: Backbone
    prior: ConditionPrior
    timesteps: tuple[int, ...]
    teach: DiffSketchTeach
    sampling: Sampling
    clip: ClipEncoder
    perceptual: Perceptual
    example: Sample | None = None

    @property
    def generated(self) -> Generated:
        """Return what the example's image was generated from; ValueError if it was not."""
        if self.pair.generated is None:
            raise ValueError("DiffSketch is taught on a generated image; this example has none")
        return self.pair.generated

    def identity(self) -> dict[str, Any]:
        """Return settings and hashes, flat and JSON-able: equal for equal outcomes."""
        settings = {
            "teach": self.teach.model_dump(mode="json", exclude=LOCATIONS),
            "sampler": self.sampling.model_dump(mode="json"),
        }
        return {
            "format": FORMAT,
            **_flattened(settings),
            "timesteps": list(self.timesteps),
            "backbone": sha256(json.dumps(self.backbone.fingerprint, sort_keys=True).encode()),
            "drawing": sha256(self.pair.drawing.tobytes()),
            "condition": sha256_of_tensors([self.generated.embeddings]),
            "noise": sha256_of_tensors([self.generated.noise]),
            "prior": sha256_of_tensors(
                [self.prior.mean, self.prior.components, self.prior.deviations]
            ),
            "clip weights": sha256_of_tensors(_sorted_state(self.clip)),
            "perceptual weights": sha256_of_tensors(_sorted_state(self.perceptual)),
        } | self._example_identity()

    def _example_identity(self) -> dict[str, Any]:
        if self.example is None:
            return {}
        of_steps = [self.example.taps.unet[t] for t in self.timesteps]
        tensors = [self.example.images, *chain(*of_steps), *self.example.taps.vae]
        # The name since the first version: stored identities have it.
        return {"known picture": sha256_of_tensors(tensors)}


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _sorted_state(module: nn.Module) -> list[Tensor]:
    return [tensor for _, tensor in sorted(module.state_dict().items())]
