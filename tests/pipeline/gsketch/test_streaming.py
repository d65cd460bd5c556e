"""Drawing while taps come in equals keeping them and drawing afterwards."""

from __future__ import annotations

import torch

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.inversion import psnr, round_trip, taps_of_images
from pipeline.diffusion.sampling import encode_prompts, initial_noise, sample
from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.gsketch.streaming import draw_while_inverting, draw_while_sampling
from pipeline.recipe.recipe import Sampling

PROMPTS = ["a red cat", "two blue dog"]
SAMPLER = Sampling(steps=3, guidance=4.0)
STEPS = (0, 1)


def make_sketcher(backbone: Backbone) -> GSketch:
    torch.manual_seed(1)
    return GSketch(
        GSketchConfig(TapShapes.of(backbone, guidance_of(SAMPLER).branches), STEPS)
    ).eval()


@torch.no_grad()
def test_real_images_are_drawn_as_their_taps_say(backbone: Backbone) -> None:
    sketcher, embeddings = make_sketcher(backbone), encode_prompts(backbone, PROMPTS)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    drawn = draw_while_inverting(backbone, sketcher, images, embeddings, SAMPLER, iterations=2)
    kept = taps_of_images(backbone, images, embeddings, SAMPLER, STEPS, iterations=2)
    assert torch.allclose(drawn.sketches, sketcher(kept.taps, kept.images), atol=1e-5)
    plain = Sampling(steps=3, guidance=1.0)
    trip = round_trip(backbone, embeddings, kept.latents, plain, iterations=2)
    assert torch.allclose(drawn.round_trip.latent_rmse, trip.latent_rmse, rtol=1e-3)
    assert torch.allclose(drawn.round_trip.psnr_db, trip.psnr_db, rtol=1e-3)
    assert torch.allclose(drawn.vae_psnr_db, psnr(kept.images, images), rtol=1e-4)


@torch.no_grad()
def test_samples_are_drawn_as_their_taps_say(backbone: Backbone) -> None:
    sketcher, embeddings = make_sketcher(backbone), encode_prompts(backbone, PROMPTS)
    noise = initial_noise(backbone, [torch.Generator().manual_seed(i) for i in range(2)])
    images, sketches = draw_while_sampling(backbone, sketcher, embeddings, noise, SAMPLER)
    kept = sample(backbone, embeddings, noise, SAMPLER, STEPS)
    assert torch.allclose(images, kept.images, atol=1e-5)
    assert torch.allclose(sketches, sketcher(kept.taps, kept.images), atol=1e-5)


def test_psnr_is_of_a_range_of_two() -> None:
    half = torch.zeros(1, 3, 2, 2)
    assert psnr(half + 0.2, half).item() == torch.tensor(20.0)
