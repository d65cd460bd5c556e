"""What a teacher is asked for and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.arrays import Pixels


@dataclass(frozen=True)
class SampleSpec:
    """Address of one sample: its index in the plan, the dataset's seed, S of DiffSketch's eq. 5."""

    index: int
    seed: int
    duration: int


@dataclass(frozen=True)
class Pair:
    """One image-sketch pair.

    `image` is uint8 (H, W, 3), `sketch` uint8 (H, W) with 255 = paper and 0 = ink. `columns` is
    further metadata for the index (alpha, beta, seeds).
    """

    index: int
    image: Pixels
    sketch: Pixels
    columns: Mapping[str, int | float | str] = field(default_factory=dict)
