"""A tiny spec for tests of one-shot training: 64 pixels, three steps, random encoders."""

from __future__ import annotations

from pathlib import Path

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.example import ExamplePair, Generated
from pipeline.diffusion.sampling import encode_prompts, initial_noise, sample
from pipeline.pixels import image_to_uint8
from pipeline.recipe.diffsketch import DiffSketchTeach
from pipeline.recipe.recipe import Sampling
from pipeline.seeds import generator
from tests.standins.tiny_encoders import write_clip, write_perceptual
from training.encoders.clip import load_clip
from training.encoders.lpips import load_perceptual
from training.oneshot.spec import OneShotSpec
from training.styles.baselines import sobel

PROMPTS = ["a red cat", "a blue dog", "a green house", "two ball", "photo of a tree"]
TIMESTEPS = (0, 2)


def build(backbone: Backbone, folder: Path, **teach: object) -> OneShotSpec:
    """Make a spec whose drawing is a Sobel edge picture; `teach` overrides recipe settings."""
    sampling = Sampling(steps=3, guidance=2.0, batch=2)
    embeddings = encode_prompts(backbone, PROMPTS)
    noise = initial_noise(backbone, [generator(50, 0, "noise")])
    example = sample(backbone, embeddings[:1], noise, sampling, TIMESTEPS)
    image = image_to_uint8(example.images)[0]
    return OneShotSpec(
        pair=ExamplePair(
            image=image,
            drawing=sobel(image),
            generated=Generated(embeddings[0], noise[0], {}),
        ),
        backbone=backbone,
        prior=ConditionPrior.fit(embeddings),
        timesteps=TIMESTEPS,
        teach=DiffSketchTeach.model_validate({"iterations": 5, "diffusion_duration": 4} | teach),
        sampling=sampling,
        clip=load_clip(write_clip(folder / "clip")),
        perceptual=load_perceptual(write_perceptual(folder / "perceptual")),
    )
