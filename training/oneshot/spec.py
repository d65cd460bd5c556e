"""What one-shot training starts from, and the fingerprint by which a run is told from another."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.example import ExamplePair
from pipeline.diffusion.sampling import Sample
from pipeline.recipe import Sampler, Teach
from training.encoders.clip import ClipEncoder
from training.encoders.lpips import Perceptual

FORMAT = 1  # of the training itself; raised when the same lesson would give other weights
# Where files lie; what is in them counts, and is fingerprinted.
LOCATIONS = {"clip", "perceptual", "prompts"}


@dataclass(frozen=True)
class Lesson:
    """All that fixes the outcome of one-shot training (method, section 4).

    timesteps: the tapped steps, counted from the end; the backbone's device is where it all runs.
    known: the pair's picture with its taps where it was not generated (inversion), a batch of 1;
    None: it is sampled again from the pair's noise.
    """

    pair: ExamplePair
    backbone: Backbone
    prior: ConditionPrior
    timesteps: tuple[int, ...]
    teach: Teach
    sampler: Sampler
    clip: ClipEncoder
    perceptual: Perceptual
    known: Sample | None = None

    def identity(self) -> dict[str, Any]:
        """Settings and SHA-256 fingerprints, flat and JSON-able: equal for equal outcomes."""
        settings = {
            "teach": self.teach.model_dump(mode="json", exclude=LOCATIONS),
            "sampler": self.sampler.model_dump(mode="json"),
        }
        return {
            "format": FORMAT,
            **_flattened(settings),
            "timesteps": list(self.timesteps),
            "backbone": _sha256([json.dumps(self.backbone.fingerprint, sort_keys=True).encode()]),
            "drawing": _sha256([self.pair.drawing.tobytes()]),
            "condition": _of_tensors([self.pair.embeddings]),
            "noise": _of_tensors([self.pair.noise]),
            "prior": _of_tensors([self.prior.mean, self.prior.components, self.prior.deviations]),
            "clip weights": _of_module(self.clip),
            "perceptual weights": _of_module(self.perceptual),
            **({} if self.known is None else {"known picture": _of_tensors(self._known_tensors())}),
        }

    def _known_tensors(self) -> list[Tensor]:
        assert self.known is not None
        of_steps = [self.known.taps.unet[t] for t in self.timesteps]
        return [self.known.images, *chain(*of_steps), *self.known.taps.vae]


def differences(known: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Name what differs between two identities, as "key: known -> asked"."""
    keys = sorted(known.keys() | asked.keys())
    return [
        f"{key}: {known.get(key)} -> {asked.get(key)}"
        for key in keys
        if known.get(key) != asked.get(key)
    ]


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _of_module(module: nn.Module) -> str:
    return _of_tensors(tensor for _, tensor in sorted(module.state_dict().items()))


def _of_tensors(tensors: Iterable[Tensor]) -> str:
    # Seen as bytes, since NumPy has no bfloat16.
    return _sha256(
        t.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() for t in tensors
    )


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
