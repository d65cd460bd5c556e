"""Statistics of pairs, on pictures of which they are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.dataset.pair_stats import blankness, difference_hash, ink_coverage, measure_pair


def test_ink_coverage() -> None:
    page = np.full((10, 10), 255, np.uint8)
    assert ink_coverage(page) == 0.0 and ink_coverage(page * 0) == 1.0
    page[:, :3] = 0
    assert ink_coverage(page) == pytest.approx(0.3)


def test_blankness() -> None:
    page = np.full((100, 100), 255, np.uint8)
    assert blankness(page) == blankness(page * 0) == 1.0
    page[0, :10] = 0
    assert blankness(page) == 1.0, "a speck is not a drawing"
    page[:5] = 0
    assert blankness(page) == 0.0
    page[:5] = 155
    assert blankness(page) == pytest.approx(1 - 100 / 255)


def test_difference_hash_sees_the_picture_not_the_noise() -> None:
    image = np.linspace(0, 200, 90)[None, :, None] * np.ones((80, 1, 3))
    clear = image.astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 6, clear.shape)
    assert difference_hash(clear) == difference_hash((clear + noise).astype(np.uint8)) == "0" * 16
    assert difference_hash(clear[:, ::-1].copy()) == "f" * 16


def test_all_statistics_of_a_pair_are_short_in_json() -> None:
    sketch = np.full((3, 7), 255, np.uint8)
    sketch[0, 0] = 0
    statistics = measure_pair(np.zeros((3, 7, 3), np.uint8), sketch)
    assert statistics == {"ink_coverage": 0.047619, "blankness": 0.0, "image_hash": "0" * 16}
