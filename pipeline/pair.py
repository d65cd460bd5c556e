"""What a teacher is asked for and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


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
    image: NDArray[np.uint8]
    sketch: NDArray[np.uint8]
    columns: Mapping[str, int | float | str] = field(default_factory=dict)
