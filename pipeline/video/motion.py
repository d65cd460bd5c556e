"""How a film moves from one frame to the next, and where the two show the same.

H, W: pixels. A flow is float32 (H, W, 2): for each pixel of the later frame, where it was before,
as a distance in columns and rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels

Flow: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

# Flow is estimated at most at this size of the shorter side; it is smooth, and this is quick.
_SHORT_SIDE_PX = 256
_LEAST_SIDE_PX = 48  # below, its pyramid has no level
# A pixel is the same in both frames if its way there and back ends so near, and it looks so alike.
_RETURNS_PX, _ALIKE = 1.0, 14.0
# Less of the picture than that in both frames is a cut.
_CUT_SHARE = 0.35


@dataclass(frozen=True)
class Motion:
    """From a frame to the next: the way back, and which pixels show the same.

    Attributes:
        flow: float32 (H, W, 2).
        same: (H, W); nowhere, where there was a cut.
    """

    flow: Flow
    same: Mask

    @property
    def is_cut(self) -> bool:
        """Whether the two frames show different scenes."""
        return not self.same.any()

    def warp(self, before: NDArray[Any]) -> NDArray[np.float32]:
        """Move what belongs to the frame before, (H, W), to where it is now."""
        return _warp(before.astype(np.float32), self.flow)


def motion_between(before: Pixels, after: Pixels) -> Motion:
    """Estimate the motion between two frames, uint8 (H, W, 3) each.

    By dense inverse search (DIS; Kroeger et al. 2016) both ways.

    Raises:
        ValueError: the extra `video` is not installed.
    """
    cv2 = _opencv()
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    height, width = first.shape
    scale = min(1.0, _SHORT_SIDE_PX / min(height, width))
    scale = max(scale, _LEAST_SIDE_PX / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in (first, second)]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = search.calc(small[1], small[0], None)
    forth = search.calc(small[0], small[1], None)
    astray = np.linalg.norm(back + _warp(forth, back), axis=2)
    ratio = np.array([width / size[0], height / size[1]], np.float32)
    flow = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR) * ratio
    returns = cv2.resize(astray, (width, height), interpolation=cv2.INTER_LINEAR) < _RETURNS_PX
    # A little blurred: noise is no change.
    soft = [cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1.0) for frame in (first, second)]
    same = returns & (np.abs(soft[1] - _warp(soft[0], flow)) < _ALIKE)
    if same.mean() < _CUT_SHARE:
        same = np.zeros_like(same)
    return Motion(flow.astype(np.float32), same)


def _warp(image: NDArray[np.float32], flow: Flow) -> NDArray[np.float32]:
    cv2 = _opencv()
    height, width = image.shape[:2]
    x, y = _grid(height, width)
    moved: NDArray[np.float32] = cv2.remap(
        image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ValueError("films need the extra `video`: pip install 'onesketch[video]'") from error
    # One thread: the same bytes on every machine, and the other cores draw.
    cv2.setNumThreads(1)
    return cv2
