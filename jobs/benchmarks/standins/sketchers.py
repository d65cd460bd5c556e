"""Backbones with an untaught G_sketch: for times, which its weights do not change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from jobs.runtime.weights import locate_backbone
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import encode_prompts
from pipeline.diffusion.taps import TapShapes
from pipeline.diffusion.timesteps import equal
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.recipe.recipe import Sampling
from pipeline.systems.conditions import Conditions
from pipeline.systems.diffsketch import DiffSketchTeacher

_BATCH, _STEPS = 8, 15
_NUM_TAPPED = 13
PROMPTS = ("a red cat", "a blue house", "a green tree", "two yellow balls")


@dataclass(frozen=True)
class UntaughtFactory:
    """Loads a backbone and draws a G_sketch from a fixed seed."""

    backbone: str
    sampling: Sampling
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @classmethod
    def embedded(cls, tiny: bool = False) -> UntaughtFactory:
        """Take the embedded model on the CPU."""
        batch, steps = (2, 2) if tiny else (_BATCH, _STEPS)
        return cls(locate_backbone("embedded"), Sampling(steps=steps, batch=batch))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What stands for the untaught G_sketch."""
        return {"untaught": "0" * 64}

    def __call__(self) -> DiffSketchTeacher:
        """Load the model."""
        backbone = load_backbone(self.backbone, self.device, self.dtype)
        embeddings = encode_prompts(backbone, PROMPTS).float().cpu()
        return DiffSketchTeacher(
            backbone,
            untaught(backbone, self.sampling),
            ConditionPrior.fit(embeddings),
            Conditions(embeddings[0], self.sampling, cdst=True, backbone={}),
            self.fingerprint,
        )


def untaught(backbone: Backbone, sampling: Sampling) -> GSketch:
    """Draw a G_sketch's weights from a fixed seed, for 13 steps, or all if there are fewer."""
    timesteps = equal(sampling.steps, min(_NUM_TAPPED, sampling.steps))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sketcher = GSketch(
            GSketchConfig(TapShapes.of(backbone, guidance_of(sampling).branches), timesteps)
        )
    return sketcher.requires_grad_(False).eval()
