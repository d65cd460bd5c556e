"""Run by test_full_size in a process of its own: prints what it took as JSON on the last line."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import torch

from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import Sample, encode_prompts, initial_noise, sample
from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.gsketch.streaming import draw_while_sampling
from pipeline.recipe.recipe import Sampling


def main(folder: Path) -> None:
    """Sample at 512 px with two steps, take one training step, draw while sampling."""
    measured: dict[str, float] = {}
    started = time.monotonic()

    def note(name: str) -> None:
        nonlocal started
        measured[f"{name}_s"] = round(time.monotonic() - started, 1)
        measured[f"{name}_gib"] = round(_peak_gib(), 2)
        started = time.monotonic()

    backbone = load_backbone(folder)
    note("load")
    sampling = Sampling(steps=2, batch=1)
    torch.manual_seed(0)
    shapes = TapShapes.of(backbone, guidance_of(sampling).branches)
    generator = GSketch(GSketchConfig(shapes, (0, 1)))
    measured["parameters"] = sum(p.numel() for p in generator.parameters())
    embeddings = encode_prompts(backbone, ["a red cat"])
    noise = initial_noise(backbone, [torch.Generator().manual_seed(0)])
    made = sample(backbone, embeddings, noise, sampling, [0, 1])
    measured["taps_gib"] = round(made.taps.size_bytes / 2**30, 2)
    note("sample")
    measured["changed"] = _train_step(generator, made)
    note("train")
    with torch.no_grad():
        drawn = generator(made.taps, made.images)
    image = made.images
    del made
    images, sketches = draw_while_sampling(backbone, generator, embeddings, noise, sampling)
    measured["image_error"] = float((images - image).abs().max())
    measured["sketch_error"] = float((sketches - drawn).abs().max())
    measured["side"] = sketches.shape[-1]
    note("stream")
    print(json.dumps(measured))


def _train_step(generator: GSketch, made: Sample) -> float:
    optimiser = torch.optim.Adam(generator.parameters(), lr=1e-4)
    before = [p.detach().clone() for p in generator.parameters()]
    generator(made.taps, made.images).mean().backward()
    optimiser.step()
    pairs = list(zip(before, generator.parameters(), strict=True))
    return sum(bool((a != b).any()) for a, b in pairs) / len(pairs)


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


if __name__ == "__main__":
    main(Path(sys.argv[1]))
