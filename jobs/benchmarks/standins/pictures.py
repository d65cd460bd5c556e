"""Pictures and teachers that benchmarks work on: photographs, scenes, all of them deterministic."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.arrays import Pixels
from pipeline.dataset.plan import Plan
from pipeline.images.find import bundled_photographs
from pipeline.images.read import read_photograph
from pipeline.pair import Pair, SampleSpec
from training.embedded.scenes.reserved_seeds import BENCHMARK_SEEDS
from training.embedded.scenes.scene import make_scene
from training.styles.registry import STYLES

_FINGERPRINT = {"stand-in": "0" * 64}


def photograph_pairs(count: int, side: int) -> list[Pair]:
    """Make pairs of scikit-image's photographs at `side` pixels and their XDoG drawings."""
    pairs: list[Pair] = []
    draw = STYLES["xdog"]
    for index, photograph in zip(range(count), bundled_photographs() * count, strict=False):
        image = _square(read_photograph(photograph.path), side)
        # Further turns of the list are shifted: no two pictures are the same.
        image = np.roll(image, 7 * (index // len(bundled_photographs())), axis=1)
        pairs.append(Pair(index, image, draw(image), {"cdst_step": index}))
    return pairs


@dataclass
class SceneTeacher:
    """Draws procedural scenes and their line art, some milliseconds each: (seed, i) -> pair i."""

    image_size: int = 128
    fingerprint: dict[str, str] = field(default_factory=lambda: dict(_FINGERPRINT))

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs."""
        return [self._pair(spec) for spec in specs]

    def _pair(self, spec: SampleSpec) -> Pair:
        # One core per worker, as declared to Ray.
        cv2.setNumThreads(1)
        # A seed of 1, as `plan_for` has it, begins BENCHMARK_SEEDS.
        scene = make_scene(spec.seed * BENCHMARK_SEEDS.start + spec.index, self.image_size)
        return Pair(spec.index, scene.image, scene.line_art, {"cdst_step": spec.index})


class SleepingTeacher:
    """Sleeps `sample_s` a pair as if a GPU were at work; the pictures are photographs."""

    fingerprint = _FINGERPRINT

    def __init__(self, image_size: int, sample_s: float, num_pictures: int = 8) -> None:
        self.image_size = image_size
        self.sample_s = sample_s
        self._pictures = photograph_pairs(num_pictures, image_size)

    def pairs(self, specs: Sequence[SampleSpec]) -> list[Pair]:
        """Make pairs."""
        time.sleep(self.sample_s * len(specs))
        return [self._pair(spec) for spec in specs]

    def _pair(self, spec: SampleSpec) -> Pair:
        picture = self._pictures[spec.index % len(self._pictures)]
        return Pair(spec.index, picture.image, picture.sketch, {"cdst_step": spec.index})


def plan_for(
    samples: int, shard_size: int, batch: int, fingerprints: dict[str, str] | None = None
) -> Plan:
    """Make a plan for a stand-in teacher's pairs."""
    return Plan(
        style="benchmark",
        samples=samples,
        shard_size=shard_size,
        seed=1,
        batch=batch,
        duration=samples,
        recipe={"style": "benchmark"},
        fingerprints=fingerprints or dict(_FINGERPRINT),
        versions={},
    )


def _square(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    cut = image[top : top + short, left : left + short]
    grows = side > short
    return np.asarray(
        cv2.resize(cut, (side, side), interpolation=cv2.INTER_CUBIC if grows else cv2.INTER_AREA),
        np.uint8,
    )
