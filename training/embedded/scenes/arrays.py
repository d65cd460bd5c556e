"""Scenes as training arrays: made once on all cores, kept in memory, drawn from by step number.

Shapes: N scenes, B batch, S side in pixels.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np

from training.embedded.scenes.scene import Scene, make_scene

# Held-out scenes have seeds that no training run reaches.
HELD_OUT_SEED = 1_000_000_000


@dataclass(frozen=True)
class SceneArrays:
    """Scenes of consecutive seeds, side by side."""

    images: np.ndarray  # (N, S, S, 3) uint8
    line_art: np.ndarray  # (N, S, S) uint8, 255 = paper
    captions: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]
    colours: tuple[tuple[str, ...], ...]
    grounds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def first(self, count: int) -> "SceneArrays":
        """The first `count` scenes, or all if there are fewer."""
        return SceneArrays(**{f.name: getattr(self, f.name)[:count] for f in fields(self)})


def _make(seed: int, size: int) -> Scene:
    cv2.setNumThreads(1)
    return make_scene(seed, size)


def make_scenes(first_seed: int, count: int, size: int = 128, workers: int = 2) -> SceneArrays:
    """Scenes of seeds first_seed .. first_seed + count - 1, made on `workers` processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        seeds = range(first_seed, first_seed + count)
        return stack(list(pool.map(partial(_make, size=size), seeds, chunksize=128)))


def stack(scenes: Sequence[Scene]) -> SceneArrays:
    """The scenes' fields, stacked."""
    return SceneArrays(
        images=np.stack([s.image for s in scenes]),
        line_art=np.stack([s.line_art for s in scenes]),
        captions=tuple(s.caption for s in scenes),
        kinds=tuple(s.kinds for s in scenes),
        colours=tuple(s.colours for s in scenes),
        grounds=tuple(s.ground for s in scenes),
    )


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random source of one training step, a function of (seed, step): a resumed run sees what
    the undisturbed one would have seen."""
    return np.random.default_rng([seed, step])
