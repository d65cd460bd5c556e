"""The parts that each kind of object is made of."""

from __future__ import annotations

import numpy as np
import pytest

from training.embedded.scenes.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_sound(kind: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        parts = KINDS[kind](rng, np.array((200.0, 40.0, 40.0), np.float32))
        for part in parts:
            assert part.points.ndim == 2 and part.points.shape[1] == 2
            assert part.colour.shape == (3,) and (part.colour >= 0.0).all()
        low = min(p.points[:, 1].min() for p in parts)
        high = max(p.points[:, 1].max() for p in parts)
        assert 0.4 < high - low < 1.3
