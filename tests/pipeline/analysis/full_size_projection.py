"""Run by test_full_size_projection in a process of its own: prints what it took as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time

import torch

from pipeline.analysis.projection import Projection

# Stable Diffusion 1.4's UNet taps with guidance, two branches of (channels, side) each, ...
SD14 = [(1280, 8)] * 3 + [(1280, 16)] * 3 + [(640, 32)] * 3 + [(320, 64)] * 3
# ... and padded to 32 M values, for what larger models have.
MOST_VALUES = 32 * 10**6


def main(images: int, steps: int, dims: int) -> None:
    """Stream `steps` steps of random full-size taps of `images` images through the projection."""
    shapes = [(2, channels, side, side) for channels, side in SD14]
    lengths = [torch.Size(shape).numel() for shape in shapes]
    shapes.append((MOST_VALUES - sum(lengths), 1, 1, 1))
    before = _peak_gib()
    project = Projection([torch.Size(shape).numel() for shape in shapes], dims, seed=0)
    weights = torch.ones(len(shapes))
    kept = torch.empty(images, steps, dims)
    seconds = 0.0
    for t in range(steps):
        taps = [torch.rand(images, *shape) for shape in shapes]
        started = time.monotonic()
        kept[:, t] = project(taps, weights)
        seconds += time.monotonic() - started
    measured = {
        "sd14_values": sum(lengths),
        "values": sum(project.lengths),
        "before_gib": before,
        "peak_gib": _peak_gib(),
        "taps_gib": 4 * images * sum(project.lengths) / 2**30,
        "map_gib": project.size_bytes / 2**30,
        "s_per_image_and_step": seconds / steps / images,
        "kept_bytes_per_image": kept[0].numel() * kept.element_size(),
        "finite": bool(kept.isfinite().all()),
    }
    print(json.dumps(measured))


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
