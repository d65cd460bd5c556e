"""Pix2PixHD as a student (Wang et al. 2018; DiffSketch 4.4).

B: pairs, H, W: pixels. Pictures and sketches are float [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from training.encoders.features import FeatureNetwork, feature_distance
from training.losses import feature_matching, least_squares_gan
from training.students.pix2pixhd_discriminators import DiscriminatorConfig, MultiScaleDiscriminators
from training.students.pix2pixhd_generator import GeneratorConfig, GlobalGenerator
from training.students.student import Batch, Phase

FEATURE_MATCHING_WEIGHT = 10.0
PERCEPTUAL_WEIGHT = 10.0
DISCRIMINATOR_WEIGHT = 0.5  # slows the discriminators against the generator
BETAS = (0.5, 0.999)

_COARSEST_SIDE = 4  # pixels

# Of what is compiled: for each size of batch with gradients for inputs, for weights, for nothing.
VARIANTS = 32

GENERATOR, DISCRIMINATORS = "generator", "discriminators"


@dataclass(frozen=True)
class Preset:
    """Sizes of both networks."""

    generator: GeneratorConfig
    discriminators: DiscriminatorConfig


def paper() -> Preset:
    """Return the published sizes: 182,436,993 and 5,531,522 parameters."""
    return Preset(GeneratorConfig(), DiscriminatorConfig())


def small() -> Preset:
    """Return sizes for two cores and 128 pixels: 1,082,529 and 350,690 parameters."""
    generator = GeneratorConfig(width=16, downs=3, blocks=3, upsampling="resize")
    return Preset(generator, DiscriminatorConfig(width=16))


def medium() -> Preset:
    """Return sizes between: 7,862,081 and 1,389,506 parameters.

    A drawing's pixel depends on 116 pixels to either side, in the preset `small` on 68.
    """
    generator = GeneratorConfig(width=32, downs=3, blocks=6, upsampling="resize")
    return Preset(generator, DiscriminatorConfig(width=32))


PRESETS = {"paper": paper, "medium": medium, "small": small}

_Generate = Callable[[Tensor], Tensor]
_Discriminate = Callable[[Tensor, Tensor], list[list[Tensor]]]


class Pix2PixHD:
    """Generator and discriminators with their losses."""

    def __init__(self, preset: Preset, features: FeatureNetwork) -> None:
        self.generator = GlobalGenerator(preset.generator)
        self.discriminators = MultiScaleDiscriminators(preset.discriminators)
        self.features = features
        self._generate: _Generate = self.generator
        self._discriminate: _Discriminate = self.discriminators
        self._slices = self.features.slices

    @classmethod
    def create(cls, preset: str, features: FeatureNetwork) -> Self:
        """Build an untrained student from torch's default generator; ValueError on the preset."""
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r} of pix2pixhd: expected one of {sorted(PRESETS)}")
        return cls(PRESETS[preset](), features)

    @classmethod
    def network_from(cls, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator that `network_config` describes."""
        return GlobalGenerator(GeneratorConfig(**config))

    @classmethod
    def least_side(cls, config: Mapping[str, Any]) -> int:
        """Return the side at which the coarsest level still has four pixels.

        It reflects and normalises there, and must not shrink to a point.
        """
        return _COARSEST_SIDE * GeneratorConfig(**config).multiple

    @property
    def network(self) -> nn.Module:
        """Return the generator."""
        return self.generator

    @property
    def network_config(self) -> dict[str, Any]:
        """Return the generator's sizes."""
        return asdict(self.generator.config)

    @property
    def multiple(self) -> int:
        """Return what the sides of a picture must be divisible by."""
        return self.generator.config.multiple

    def phases(self) -> Sequence[Phase]:
        """Train the generator against the discriminators, then these on what it drew."""
        return (
            Phase(GENERATOR, self.generator, BETAS),
            Phase(DISCRIMINATORS, self.discriminators, BETAS),
        )

    def losses(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms of a phase."""
        if phase == GENERATOR:
            return self._generator_losses(batch)
        if phase == DISCRIMINATORS:
            return self._discriminator_losses(batch)
        raise ValueError(f"phase {phase!r}: expected {GENERATOR!r} or {DISCRIMINATORS!r}")

    def compile(self) -> None:
        """Compile all networks for `losses`.

        The generator in sections, so that gradients of its last ones are on their way to other
        ranks while those of the first are still computed.
        """
        compiled = partial(torch.compile, dynamic=False, recompile_limit=VARIANTS)
        self._generate = partial(_in_turn, [compiled(s) for s in self.generator.sections()])
        self._discriminate = compiled(self.discriminators)
        self._slices = compiled(self.features.slices)

    def draw(self, images: Tensor) -> Tensor:
        """Draw: images (B, 3, H, W) -> sketches (B, 1, H, W), without gradient."""
        with torch.no_grad():
            return self.generator(images)

    def _generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        drawn = self._generate(batch.images)
        batch.made["drawn"] = drawn.detach()
        fake = self._discriminate(batch.images, drawn)
        with torch.no_grad():
            real = self._discriminate(batch.images, batch.sketches)
            true_slices = self._slices(batch.sketches)
        # The loss averages over maps where Wang et al. 2018 (eq. 3) and their code sum.
        maps_summed = len(fake[0]) - 1
        matching = maps_summed * feature_matching(_features(fake), _features(real))
        perceptual = feature_distance(self._slices(drawn), true_slices)
        return {
            "adversarial": least_squares_gan(_scores(fake), real=True),
            "matching": FEATURE_MATCHING_WEIGHT * matching,
            "perceptual": PERCEPTUAL_WEIGHT * perceptual,
        }

    def _discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        fake = self._discriminate(batch.images, batch.made["drawn"])
        real = self._discriminate(batch.images, batch.sketches)
        return {
            "fake": DISCRIMINATOR_WEIGHT * least_squares_gan(_scores(fake), real=False),
            "real": DISCRIMINATOR_WEIGHT * least_squares_gan(_scores(real), real=True),
        }


def _in_turn(sections: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
    for section in sections:
        x = section(x)
    return x


def _scores(maps: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [of_scale[-1] for of_scale in maps]


def _features(maps: Sequence[Sequence[Tensor]]) -> list[Sequence[Tensor]]:
    return [of_scale[:-1] for of_scale in maps]
