"""What every style of the registry must keep to, and what listing them must not cost."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.styles.registry import STYLES


@pytest.mark.parametrize("name", sorted(STYLES))
@pytest.mark.parametrize("size", [(50, 64), (64, 33)])
def test_every_style_keeps_size_and_type(name: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = picture.copy()
    drawn = STYLES[name](picture)
    assert drawn.shape == size and drawn.dtype == np.uint8
    assert np.array_equal(picture, before), "a style must not draw on the picture itself"
    assert np.array_equal(STYLES[name](picture), drawn), "a style draws the same each time"


@pytest.mark.parametrize("name", sorted(STYLES.keys() - {"blank"}))  # which looks at no pixel
@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_a_picture_in_another_form_is_refused(name: str, wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="convert it to RGB"):
        STYLES[name](wrong)


def test_listing_the_styles_does_not_wait_for_torch() -> None:
    code = "import sys, training.styles.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
