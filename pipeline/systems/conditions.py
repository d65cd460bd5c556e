"""What a taught DiffSketch samples under: the example's condition, the prior, CDST between them.

Shapes: B images of a batch, L x D a condition, C x h x w noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior, mixed, mixing
from pipeline.diffusion.sampling import initial_noise
from pipeline.pair import SampleSpec
from pipeline.recipe.recipe import Sampling
from pipeline.seeds import generator, stream_seed
from pipeline.whole_file import write_tensors

PRIOR_FILE, CONDITION_FILE = "prior.safetensors", "condition.safetensors"
# The tensor's own name in the file since its first version.
_EXAMPLE = "known"


@dataclass(frozen=True)
class Conditions:
    """Where conditions come from, as it is kept in a teacher's folder.

    Attributes:
        example: C, the embedding of the example's prompt, (L, D).
        sampling: how to sample.
        cdst: whether CDST is on; without it (an ablation) every condition is a plain draw.
        backbone: SHA-256 of each file of the backbone that was taught on.
    """

    example: Tensor
    sampling: Sampling
    cdst: bool
    backbone: Mapping[str, str]

    def save(self, folder: Path) -> None:
        """Write condition.safetensors into a teacher's folder."""
        metadata = {
            "sampler": self.sampling.model_dump_json(),
            "cdst": json.dumps(self.cdst),
            "backbone": json.dumps(dict(self.backbone), sort_keys=True),
        }
        write_tensors(folder / CONDITION_FILE, {_EXAMPLE: self.example.float()}, metadata)

    @classmethod
    def load(cls, folder: Path) -> Conditions:
        """Read what `save` wrote; ValueError for a file that is something else."""
        path = folder / CONDITION_FILE
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                return cls(
                    example=file.get_tensor(_EXAMPLE),
                    sampling=Sampling.model_validate_json(metadata["sampler"]),
                    cdst=json.loads(metadata["cdst"]),
                    backbone=json.loads(metadata["backbone"]),
                )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} cannot be read ({reason}): teach again") from error

    def check_backbone(self, found: Mapping[str, str], location: str, folder: Path) -> None:
        """Raise ValueError unless a backbone's fingerprint is that of the one taught on."""
        names = sorted(self.backbone.keys() | found.keys())
        changed = [name for name in names if self.backbone.get(name) != found.get(name)]
        if changed:
            raise ValueError(
                f"backbone {location} is not the one that {folder} was taught on: "
                f"{', '.join(changed)} differ; use that backbone, or teach again"
            )


@dataclass(frozen=True)
class SampledConditions:
    """What sample i starts from, a function of its address: condition, noise, index columns."""

    conditions: Conditions
    prior: ConditionPrior

    def embeddings(self, specs: Sequence[SampleSpec]) -> Tensor:
        """Return C_i of equation 5 (DiffSketch 4.3): float32 (B, L, D)."""
        drawn = self.prior.sample_many(
            [generator(spec.seed, spec.index, "condition") for spec in specs]
        )
        example = self.conditions.example
        return torch.stack(
            [mixed(example, d, self._mixing(s)) for d, s in zip(drawn, specs, strict=True)]
        )

    def noise(self, backbone: Backbone, specs: Sequence[SampleSpec]) -> Tensor:
        """Return the first latents: float32 (B, C, h, w) on the CPU."""
        return initial_noise(backbone, [generator(s.seed, s.index, "noise") for s in specs])

    def columns(self, spec: SampleSpec) -> dict[str, int | float | str]:
        """Return what the index says about a sample's origin."""
        alpha, beta = self._mixing(spec)
        return {
            "cdst_step": spec.index,
            "alpha": alpha,
            "beta": beta,
            "noise_seed": stream_seed(spec.seed, spec.index, "noise"),
            "condition_seed": stream_seed(spec.seed, spec.index, "condition"),
        }

    def _mixing(self, spec: SampleSpec) -> tuple[float, float]:
        return mixing(spec.index, spec.duration) if self.conditions.cdst else (0.0, 1.0)
