"""Strokes along the middle of lines, smooth and long, as someone draws them.

Points are (x, y) in pixels; the middle of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon

from pipeline.drawings.skeleton import Chain, Mask, chains

Points: TypeAlias = NDArray[np.float64]
_End: TypeAlias = tuple[int, int]  # a chain's number, and 0 for its first pixel, 1 for its last

# A line's middle has spurs towards its bumps: those that are hardly longer than it is wide go.
_SPUR_PER_WIDTH = 1.0
_LEAST_LENGTH_PX = 4
# Along the chain, pixels: what smooths its stairs, and how far the smooth curve may be from points.
_SMOOTHING, _TOLERANCE = 1.5, 0.35
# Over so many pixels a chain's direction at its end is measured; strokes go on where it turns less.
_DIRECTION_PX, _MOST_TURN_COS = 8, 0.5
# Lines whose widths differ by more are two, even where one goes on as the other.
_MOST_WIDTH_RATIO = 1.7


@dataclass(frozen=True)
class Stroke:
    """Points (N, 2) that a pen of a width follows; closed, it comes back to the first."""

    points: Points
    width_px: float
    closed: bool

    def path(self) -> str:
        """Write it as an SVG path of cubic curves through its points (Catmull and Rom 1974)."""
        points = self.points
        if len(points) == 1:
            return f"M{_number(points[0])}h0"  # A dot, by its round ends.
        if self.closed:
            points = np.vstack([points, points[:1]])
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)[:, None]
        slopes = self._slopes(points, lengths) / 3
        pieces = [
            f"C{_number(a + length * out)} {_number(b - length * into)} {_number(b)}"
            for a, b, out, into, length in zip(
                points, points[1:], slopes, slopes[1:], lengths, strict=False
            )
        ]
        return f"M{_number(points[0])}" + "".join(pieces) + ("Z" if self.closed else "")

    def _slopes(self, points: Points, lengths: Points) -> Points:
        """Return the direction at each point, by the chords on either side of it."""
        if self.closed:
            before, after = (
                points[[-2, *range(len(points) - 1)]],
                points[[*range(1, len(points)), 1]],
            )
            spans = np.vstack([lengths[-1:], lengths]) + np.vstack([lengths, lengths[:1]])
        else:
            before, after = (
                np.vstack([points[:1], points[:-1]]),
                np.vstack([points[1:], points[-1:]]),
            )
            spans = np.vstack([[[0.0]], lengths]) + np.vstack([lengths, [[0.0]]])
        return (after - before) / np.maximum(spans, 1e-9)


def trace_strokes(ink: Mask) -> list[Stroke]:
    """Trace the lines of ink (H, W), longest stroke first."""
    found, half_widths = chains(ink)
    lines = _joined([chain for chain in found if not _is_spur(chain, half_widths)], half_widths)
    strokes = [_stroke(pixels, half_widths, closed) for pixels, closed in lines]
    return sorted(strokes, key=lambda stroke: -len(stroke.points))


def _is_spur(chain: Chain, half_widths: NDArray[np.float64]) -> bool:
    """Tell whether a chain is a bump of the line that it stands on, or a speck."""
    width = 2 * float(half_widths[tuple(chain.pixels.T)].max())
    starts, ends = chain.junctions
    if starts and ends:
        return False
    if starts or ends:
        return len(chain.pixels) < max(_LEAST_LENGTH_PX, _SPUR_PER_WIDTH * width)
    return len(chain.pixels) < _LEAST_LENGTH_PX and width < _LEAST_LENGTH_PX


def _joined(
    found: list[Chain], half_widths: NDArray[np.float64]
) -> list[tuple[NDArray[np.int64], bool]]:
    """Join chains through junctions, straightest first; give pixels and whether they close."""
    found, same = _without_bridges(found, half_widths)
    widths = [_width(chain.pixels, half_widths) for chain in found]
    ends_at: dict[int, list[_End]] = {}
    for number, chain in enumerate(found):
        for end, junction in enumerate(chain.junctions):
            if junction:
                ends_at.setdefault(same[junction], []).append((number, end))
    pairs = [
        (-float(_direction(found, one) @ _direction(found, other)), one, other)
        for ends in ends_at.values()
        for one, other in combinations(ends, 2)
        # A ring may close where nothing else meets it.
        if one[0] != other[0] or len(ends) == 2
    ]
    partner: dict[_End, _End] = {}
    for straight, one, other in sorted(pairs, reverse=True):
        thin, wide = sorted((widths[one[0]], widths[other[0]]))
        goes_on = straight > _MOST_TURN_COS and wide <= _MOST_WIDTH_RATIO * thin
        if goes_on and one not in partner and other not in partner:
            partner[one], partner[other] = other, one
    return _followed(found, partner)


def _without_bridges(
    found: list[Chain], half_widths: NDArray[np.float64]
) -> tuple[list[Chain], dict[int, int]]:
    """Make one junction of two that are nearer than the line is wide, as where lines cross.

    Returns:
        The other chains, and for each junction the one that it is.
    """
    same = {junction: junction for chain in found for junction in chain.junctions}
    others = []
    for chain in found:
        first, last = chain.junctions
        if first and last and len(chain.pixels) < _width(chain.pixels, half_widths):
            kept, gone = same[first], same[last]
            same = {junction: kept if to == gone else to for junction, to in same.items()}
        else:
            others.append(chain)
    return others, same


def _followed(
    found: list[Chain], partner: dict[_End, _End]
) -> list[tuple[NDArray[np.int64], bool]]:
    lines, seen = [], set[int]()
    # Those with a free end first: the others close in themselves.
    starts = sorted(range(len(found)), key=lambda n: (n, 0) in partner and (n, 1) in partner)
    for start in starts:
        number, end = start, int((start, 0) in partner)
        parts: list[NDArray[np.int64]] = []
        following: _End | None = None
        while number not in seen:
            seen.add(number)
            pixels = found[number].pixels
            parts.append(pixels if end == 0 else pixels[::-1])
            following = partner.get((number, 1 - end))
            if following is None:
                break
            number, end = following
        if parts:
            lines.append((np.concatenate(parts), following is not None or found[start].is_loop))
    return lines


def _direction(found: list[Chain], at: _End) -> Points:
    """Return the unit vector in which a chain leaves a junction."""
    number, end = at
    pixels = found[number].pixels if end == 0 else found[number].pixels[::-1]
    away = (pixels[min(_DIRECTION_PX, len(pixels) - 1)] - pixels[0]).astype(np.float64)
    return away / max(float(np.linalg.norm(away)), 1e-9)


def _stroke(pixels: NDArray[np.int64], half_widths: NDArray[np.float64], closed: bool) -> Stroke:
    width = _width(pixels, half_widths)
    points: Points = pixels[:, ::-1].astype(np.float64) + 0.5
    if len(points) > 2:
        points = _smooth(points, closed)
        points = approximate_polygon(points, _TOLERANCE)
        if closed and len(points) > 3:
            points = points[:-1]
    return Stroke(points, width, closed and len(points) > 2)


def _width(pixels: NDArray[np.int64], half_widths: NDArray[np.float64]) -> float:
    # Distances end in the middle of a pixel of paper, half a pixel beyond the edge on either side.
    return max(2 * float(np.median(half_widths[tuple(pixels.T)])) - 0.5, 0.5)


def _smooth(points: Points, closed: bool) -> Points:
    smooth = ndimage.gaussian_filter1d(points, _SMOOTHING, 0, mode="wrap" if closed else "nearest")
    if closed:
        return np.vstack([smooth, smooth[:1]])
    smooth[[0, -1]] = points[[0, -1]]  # Lines keep their length.
    return smooth


def _number(point: Points) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
