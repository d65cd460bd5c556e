"""Scenes as arrays: made once in several processes, kept in memory, drawn from by step.

Shapes: N scenes, B batch, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np

from pipeline.arrays import Pixels
from training.embedded.scenes.scene import Scene, make_scene


@dataclass(frozen=True)
class SceneArrays:
    """Scenes of consecutive seeds, side by side.

    Attributes:
        images: uint8 (N, S, S, 3).
        line_art: uint8 (N, S, S), 255 = paper.
        captions: one of each scene.
        kinds: of the objects in each scene.
        colours: of the objects in each scene.
        grounds: one of each scene.
    """

    images: Pixels
    line_art: Pixels
    captions: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]
    colours: tuple[tuple[str, ...], ...]
    grounds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def first(self, count: int) -> SceneArrays:
        """Return the first `count` scenes, or all if there are fewer."""
        return SceneArrays(**{f.name: getattr(self, f.name)[:count] for f in fields(self)})


def make_scenes(first_seed: int, count: int, size: int = 128, workers: int = 2) -> SceneArrays:
    """Make the scenes of seeds first_seed .. first_seed + count - 1 in `workers` processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        seeds = range(first_seed, first_seed + count)
        return stack(list(pool.map(partial(_make, size=size), seeds, chunksize=128)))


def stack(scenes: Sequence[Scene]) -> SceneArrays:
    """Stack the fields of scenes."""
    return SceneArrays(
        images=np.stack([s.image for s in scenes]),
        line_art=np.stack([s.line_art for s in scenes]),
        captions=tuple(s.caption for s in scenes),
        kinds=tuple(s.kinds for s in scenes),
        colours=tuple(s.colours for s in scenes),
        grounds=tuple(s.ground for s in scenes),
    )


def step_rng(seed: int, step: int) -> np.random.Generator:
    """Make the random source of one training step, a function of (seed, step) alone.

    So a resumed training draws what the undisturbed one would have drawn.
    """
    return np.random.default_rng([seed, step])


def _make(seed: int, size: int) -> Scene:
    cv2.setNumThreads(1)
    return make_scene(seed, size)
