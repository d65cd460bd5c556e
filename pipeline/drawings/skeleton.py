"""The middle of lines as a graph: chains of pixels between ends and junctions.

H, W: pixels. A chain is (N, 2), rows and columns, neighbours one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

Mask: TypeAlias = NDArray[np.bool_]
Pixel: TypeAlias = tuple[int, int]

# The eight neighbours: those beside first; and in their order around the pixel.
_AROUND = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
_RING = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]


@dataclass(frozen=True)
class Chain:
    """Pixels of a line's middle, (N, 2), with the junctions at its ends; 0: it ends freely."""

    pixels: NDArray[np.int64]
    junctions: tuple[int, int]

    @property
    def is_loop(self) -> bool:
        """Whether it comes back to where it began, without a junction."""
        first, last = self.pixels[0], self.pixels[-1]
        meets = int(np.abs(first - last).max()) <= 1
        return len(self.pixels) > 3 and self.junctions == (0, 0) and meets


def chains(ink: Mask) -> tuple[list[Chain], NDArray[np.float64]]:
    """Find the chains along the middle of ink (H, W).

    Returns:
        The chains; and half the width of the line in pixels, (H, W), on its middle.
    """
    # Beyond the picture lies paper, too: a line may end at its edge.
    padded = np.pad(ink, 1)
    half_widths = np.asarray(ndimage.distance_transform_edt(padded))[1:-1, 1:-1]
    middle = np.asarray(skeletonize(padded))[1:-1, 1:-1]
    return list(_walk_all(middle)), half_widths


def _walk_all(middle: Mask) -> Iterator[Chain]:
    is_junction = _junctions(middle)
    junctions, _ = ndimage.label(is_junction, np.ones((3, 3)))
    beside = ndimage.binary_dilation(is_junction, np.ones((3, 3)))
    left = {(int(y), int(x)): bool(beside[y, x]) for y, x in np.argwhere(middle & ~is_junction)}
    degree = {pixel: sum(near in left for near in _near(pixel)) for pixel in left}
    # Ends first, so that chains are whole; what is left then are loops.
    for pixel in sorted(left, key=lambda pixel: (degree[pixel] > 1, not left[pixel], pixel)):
        if pixel in left:
            yield _chain(_walk(pixel, left), junctions)


def _junctions(middle: Mask) -> Mask:
    """Find the pixels from which three ways or more lead away."""
    padded = np.pad(middle, 1).astype(np.int8)
    height, width = middle.shape
    ring = np.stack([padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _RING])
    ways = (np.diff(ring, axis=0, append=ring[:1]) == 1).sum(0)
    # Where two lines cross, four pixels may form a square, of which none has three ways.
    squares = ndimage.binary_opening(middle, np.ones((2, 2)))
    return middle & ((ways > 2) | (squares & (ring.sum(0) > 3)))


def _walk(pixel: Pixel, left: dict[Pixel, bool]) -> list[Pixel]:
    """Follow a line from a pixel as far as it goes, taking its pixels away.

    Args:
        pixel: where it begins.
        left: the pixels that are left, and whether each is beside a junction. There a walk ends:
            the next branch of the junction may be beside it, too.
    """
    walked = [pixel]
    left.pop(pixel)
    at_junction = False
    while not at_junction:
        near = [near for near in _near(walked[-1]) if near in left]
        if not near:
            break
        # Away from the junction that it begins at.
        walked.append(min(near, key=lambda pixel: left[pixel]) if len(walked) == 1 else near[0])
        at_junction = left.pop(walked[-1])
    return walked


def _chain(walked: list[Pixel], junctions: NDArray[np.int32]) -> Chain:
    """Let a walk begin and end on the junctions beside it."""
    start = _junction_beside(walked[0], junctions)
    # One pixel between two junctions touches both.
    but = int(junctions[start]) if start and len(walked) == 1 else 0
    end = _junction_beside(walked[-1], junctions, but)
    pixels = [*([start] if start else []), *walked, *([end] if end else [])]
    ends = (int(junctions[start]) if start else 0, int(junctions[end]) if end else 0)
    return Chain(np.array(pixels), ends)


def _junction_beside(pixel: Pixel, junctions: NDArray[np.int32], but: int = 0) -> Pixel | None:
    height, width = junctions.shape
    for y, x in _near(pixel):
        if 0 <= y < height and 0 <= x < width and junctions[y, x] not in (0, but):
            return y, x
    return None


def _near(pixel: Pixel) -> list[Pixel]:
    return [(pixel[0] + y, pixel[1] + x) for y, x in _AROUND]
