"""DiffSketch as a teacher: sample images and draw them with G_sketch (paper 4, 4.4).

Folder `teacher/`: gsketch.safetensors and config.json (the generator), prior.safetensors (D_SD),
condition.safetensors (the known condition C, and how to sample). Shapes: B images of a batch, L x D
a condition, C x h x w noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.canonical import sha256_of_file
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior, mixing
from pipeline.diffusion.sampling import initial_noise
from pipeline.gsketch.network import CONFIG_FILE, WEIGHTS_FILE, GSketch
from pipeline.gsketch.streaming import draw_while_sampling
from pipeline.pair import Pair, SampleSpec
from pipeline.pixels import image_to_uint8, sketch_to_uint8
from pipeline.recipe import Sampling
from pipeline.seeds import generator, stream_seed
from pipeline.whole_file import write_tensors

PRIOR_FILE, CONDITION_FILE = "prior.safetensors", "condition.safetensors"
_FILES = (WEIGHTS_FILE, CONFIG_FILE, PRIOR_FILE, CONDITION_FILE)


class SamplingError(RuntimeError):
    """A sample that came out as no finite number."""


@dataclass(frozen=True)
class Conditions:
    """Where conditions come from: C (L, D), how to sample, and whether CDST is on (ablation)."""

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
        tensors = {"known": self.example.float()}
        write_tensors(folder / CONDITION_FILE, tensors, metadata)

    @classmethod
    def load(cls, folder: Path) -> Conditions:
        """Read what `save` wrote."""
        with safe_open(folder / CONDITION_FILE, framework="pt") as file:
            metadata = file.metadata()
            return cls(
                example=file.get_tensor("known"),
                sampling=Sampling.model_validate_json(metadata["sampler"]),
                cdst=json.loads(metadata["cdst"]),
                backbone=json.loads(metadata["backbone"]),
            )


class DiffSketchTeacher:
    """Makes pairs; pair i depends on its spec and on this teacher's files, and on nothing else.

    Kernels may round differently at another batch size. So every batch has `sampler.batch` slots,
    sample i sits in slot i mod batch, and empty slots are filled: a sample that is asked for alone
    comes out as it does among its neighbours. The number of threads can matter on processors, too:
    Ray gives each worker's torch as many as it has cores, one unless told otherwise.
    """

    def __init__(
        self,
        backbone: Backbone,
        sketcher: GSketch,
        prior: ConditionPrior,
        conditions: Conditions,
        fingerprint: dict[str, str],
    ) -> None:
        self.backbone = backbone
        self.sketcher = sketcher.to(backbone.device, backbone.dtype).requires_grad_(False).eval()
        self.prior = prior
        self.conditions = conditions
        self.fingerprint = fingerprint

    @classmethod
    def load(
        cls, folder: Path, backbone_location: str | Path, device: str, dtype: torch.dtype
    ) -> DiffSketchTeacher:
        """Load a taught teacher.

        Raises:
            ValueError: a file is missing, or the backbone is not the one that was taught on.
        """
        check_taught(folder)
        conditions = Conditions.load(folder)
        backbone = load_backbone(backbone_location, device, dtype)
        changed = _changed(conditions.backbone, backbone.fingerprint)
        if changed:
            raise ValueError(
                f"backbone {backbone_location} is not the one that {folder} was taught on: "
                f"{', '.join(changed)} differ; use that backbone, or teach again"
            )
        fingerprint = {f"backbone/{name}": sha for name, sha in backbone.fingerprint.items()}
        for name in _FILES:
            fingerprint[f"teacher/{name}"] = sha256_of_file(folder / name)
        prior = ConditionPrior.load(folder / PRIOR_FILE)
        return cls(backbone, GSketch.load(folder), prior, conditions, fingerprint)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return self.backbone.image_size

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order.

        Raises:
            SamplingError: a sample is not finite.
        """
        batch = self.conditions.sampling.batch
        made: list[Pair] = []
        for _, group in groupby(specs, key=lambda spec: spec.index // batch):
            made.extend(self._batch(list(group)))
        return made

    def _batch(self, specs: list[SampleSpec]) -> Iterator[Pair]:
        slots = self.conditions.sampling.batch
        of_slot = {spec.index % slots: spec for spec in specs}
        filled = [of_slot.get(slot, specs[0]) for slot in range(slots)]
        noise = [generator(spec.seed, spec.index, "noise") for spec in filled]
        images, sketches = draw_while_sampling(
            self.backbone,
            self.sketcher,
            self._conditions(filled),
            initial_noise(self.backbone, noise),
            self.conditions.sampling,
        )
        finite = (images.isfinite().all((1, 2, 3)) & sketches.isfinite().all((1, 2, 3))).tolist()
        image_pixels, sketch_pixels = image_to_uint8(images), sketch_to_uint8(sketches)
        for spec in specs:
            slot = spec.index % slots
            if not finite[slot]:
                raise SamplingError(f"sample {spec.index} is not finite in {self.backbone.dtype}")
            yield Pair(spec.index, image_pixels[slot], sketch_pixels[slot], self._columns(spec))

    def _conditions(self, specs: Sequence[SampleSpec]) -> Tensor:
        drawn = self.prior.sample_many(
            [generator(spec.seed, spec.index, "condition") for spec in specs]
        )
        weights = torch.tensor([self._mixing(spec) for spec in specs])  # (B, 2)
        alpha, beta = weights[:, 0, None, None], weights[:, 1, None, None]
        return alpha * self.conditions.example + beta * drawn  # (B, L, D)

    def _columns(self, spec: SampleSpec) -> dict[str, int | float | str]:
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


def check_taught(folder: Path) -> None:
    """Raise ValueError unless a teacher's folder has all its files."""
    for name in _FILES:
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: {name} is missing: run `onesketch teach` first")


def _changed(taught: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return sorted(
        name for name in taught.keys() | found.keys() if taught.get(name) != found.get(name)
    )
