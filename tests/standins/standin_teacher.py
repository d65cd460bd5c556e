"""A teacher that draws blobs with NumPy in a millisecond and misbehaves on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.dataset.plan import Plan
from pipeline.pair import Pair, SampleSpec

FINGERPRINT = {"standin": "0" * 64}


@dataclass(frozen=True)
class StandinTeacher:
    """Pair i is a blob on a textured ground and its outline, all of it a function of (seed, i).

    `deadly` samples kill their process, `poison` samples raise an error; a sample takes `delay_s`.
    """

    image_size: int = 32
    deadly: frozenset[int] = frozenset()
    poison: frozenset[int] = frozenset()
    delay_s: float = 0.0
    fingerprint: dict[str, str] = field(default_factory=lambda: dict(FINGERPRINT))

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs."""
        return [self._pair(spec) for spec in specs]

    def _pair(self, spec: SampleSpec) -> Pair:
        if spec.index in self.deadly:
            os._exit(1)
        if spec.index in self.poison:
            raise RuntimeError(f"sample {spec.index} cannot be made")
        time.sleep(self.delay_s)
        random = np.random.default_rng((spec.seed, spec.index))
        y, x = np.mgrid[: self.image_size, : self.image_size] / self.image_size
        centre, radius = random.uniform(0.3, 0.7, 2), random.uniform(0.15, 0.3)
        distance = np.hypot(y - centre[0], x - centre[1]) - radius
        ground, blob = random.integers(0, 200, (2, 3))
        image = np.where(distance[..., None] < 0, blob, ground)
        image = image + random.integers(0, 8, image.shape)
        sketch = np.where(np.abs(distance) < 1.5 / self.image_size, 0, 255)
        alpha = max(1 - spec.index / spec.duration, 0.0)
        columns = {
            "cdst_step": spec.index,
            "alpha": alpha,
            "beta": 1 - alpha,
            "noise_seed": int(random.integers(2**64, dtype=np.uint64)),
        }
        return Pair(spec.index, image.astype(np.uint8), sketch.astype(np.uint8), columns)


def make_plan(
    samples: int = 22, shard_size: int = 8, batch: int = 4, seed: int = 7, **recipe: object
) -> Plan:
    """Return a small plan for the stand-in teacher."""
    return Plan(
        style="blobs",
        samples=samples,
        shard_size=shard_size,
        seed=seed,
        batch=batch,
        duration=16,
        recipe={"style": "blobs", "dataset": {"samples": samples}, **recipe},
        fingerprints=dict(FINGERPRINT),
        versions={"onesketch": "test"},
    )
