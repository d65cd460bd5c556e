"""Benchmarks `sample` and `aggregate`: the embedded model's sampling, and G_sketch's first half.

Shapes: B images, branches (uncond, cond), C channels, h x w pixels; f_{l,t} is layer l's feature at
step t.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from torch import Tensor

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    one_thread,
    ratios,
    take_turns,
)
from jobs.benchmarks.standins.sketchers import PROMPTS, UntaughtFactory, untaught
from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.sampling import encode_prompts, initial_noise, sample
from pipeline.gsketch.aggregation import Aggregation, Bottleneck
from pipeline.pixels import unit_from_signed
from pipeline.recipe.recipe import Sampling


def measure_sample(effort: Effort) -> BenchmarkResult:
    """Sample a batch with taps, against diffusers' own pipeline without."""
    backbone, sampling, embeddings, noise = _prepared(effort)
    timesteps = untaught(backbone, sampling).config.timesteps
    pipeline = _pipeline(UntaughtFactory.embedded(effort.tiny).backbone)
    images: dict[str, Tensor] = {}

    def ours() -> None:
        made = sample(backbone, embeddings, noise, sampling, timesteps).images
        images["ours"] = unit_from_signed(made)

    def peer() -> None:
        images["peer"] = pipeline(
            prompt_embeds=embeddings,
            negative_prompt_embeds=backbone.unconditional.expand_as(embeddings),
            latents=noise,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            output_type="pt",
        ).images

    with one_thread():
        ours_s, peer_s = take_turns(ours, peer, effort.rounds, time.thread_time)
    difference = float((images["ours"] - images["peer"]).abs().max())
    return BenchmarkResult(
        workload=f"embedded model, batch {sampling.batch}, {sampling.steps} steps, taps of "
        f"{len(timesteps)} steps and of the VAE kept; processor time of one thread",
        peer="diffusers' StableDiffusionPipeline: same model, noise, embeddings, steps; no taps",
        scores=(
            BenchmarkScore("times as fast", ratios(peer_s, ours_s), 1.0, at_least=True),
            BenchmarkScore(
                "greatest difference of a pixel", (difference,), 1e-4, at_least=False, unit=""
            ),
        ),
        seconds={"ours": ours_s, "peer": peer_s},
    )


def measure_aggregate(effort: Effort) -> BenchmarkResult:
    """Aggregate by DiffSketch's equation 1 as G_sketch does, against the equation as written."""
    backbone, sampling, embeddings, noise = _prepared(effort)
    aggregation = untaught(backbone, sampling).aggregation
    taps = sample(backbone, embeddings, noise, sampling, aggregation.timesteps).taps.unet
    found: dict[str, Tensor] = {}

    @torch.no_grad()
    def ours() -> None:
        found["ours"] = aggregation(taps)

    @torch.no_grad()
    def peer() -> None:
        found["peer"] = _literal(aggregation, taps)

    with one_thread():
        ours_s, peer_s = take_turns(ours, peer, effort.rounds, time.thread_time)
    error = float((found["ours"] - found["peer"]).norm() / found["peer"].norm())
    return BenchmarkResult(
        workload=f"F_fin of {sampling.batch} images of the embedded model from the taps of "
        f"{len(aggregation.timesteps)} steps; processor time of one thread",
        peer="the equations as they are written: each feature is enlarged, then convolved",
        scores=(
            BenchmarkScore("times as fast", ratios(peer_s, ours_s), 1.5, at_least=True),
            BenchmarkScore("relative error", (error,), 1e-5, at_least=False, unit=""),
        ),
        seconds={"ours": ours_s, "peer": peer_s},
    )


def _literal(aggregation: Aggregation, taps: Mapping[int, Sequence[Tensor]]) -> Tensor:
    """F_fin by DiffSketch, equation 1, term by term: (B, branches C, h, w)."""
    w, w_parts = aggregation.weights()
    levels = aggregation.first_level
    sums: list[Any] = [0, 0]
    for layer, bottleneck in enumerate(aggregation.bottlenecks):
        level = int(layer >= levels)
        size = aggregation.final_size if level else aggregation.first_size
        for row, t in enumerate(aggregation.timesteps):
            f = taps[t][layer].transpose(0, 1).flatten(0, 1)  # (branches B, C, h, w)
            sums[level] = sums[level] + w[layer, row] * _written(bottleneck, f, size)
    upper = aggregation.bottlenecks[levels:]
    for weight, bottleneck, part in zip(w_parts, upper, sums[0].chunk(len(upper), 1), strict=True):
        sums[1] = sums[1] + weight * _written(bottleneck, part, aggregation.final_size)
    rows: Tensor = sums[1].unflatten(0, (aggregation.branches, -1))
    return rows.transpose(0, 1).flatten(1, 2)


def _written(bottleneck: Any, f: Tensor, size: tuple[int, int]) -> Tensor:
    """B_l(U(f)) in the order in which DiffSketch writes it."""
    assert isinstance(bottleneck, Bottleneck)
    x = F.interpolate(f, size=size, mode="bilinear", align_corners=False)
    y = F.relu(bottleneck.norm_reduce(bottleneck.reduce(x)))
    y = F.relu(bottleneck.norm_conv(bottleneck.conv(y)))
    y = bottleneck.norm_expand(bottleneck.expand(y))
    return F.relu(y + bottleneck.norm_shortcut(bottleneck.shortcut(x)))


def _prepared(effort: Effort) -> tuple[Backbone, Sampling, Tensor, Tensor]:
    factory = UntaughtFactory.embedded(effort.tiny)
    backbone, sampling = load_backbone(factory.backbone, "cpu", torch.float32), factory.sampling
    prompts = [PROMPTS[i % len(PROMPTS)] for i in range(sampling.batch)]
    noise = [torch.Generator().manual_seed(i) for i in range(sampling.batch)]
    return backbone, sampling, encode_prompts(backbone, prompts), initial_noise(backbone, noise)


def _pipeline(folder: str) -> Any:
    """Diffusers' pipeline as diffusers loads it."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
