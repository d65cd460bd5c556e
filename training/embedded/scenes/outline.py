"""Parts of an object and the outlines they are made of; unit coordinates, x right, y up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.embedded.scenes.palette import Colour

Points = NDArray[np.float64]  # (N, 2)
Texture = Literal["plain", "stripes", "dots"]


@dataclass(frozen=True)
class Part:
    """One filled outline (or, if open, a thin line) with its colour and surface.

    Attributes:
        points: (N, 2), unit coordinates.
        colour: of the whole part, before light and texture.
        shading: the surface's form, which decides how light falls on it.
        texture: the pattern on it.
        closed: whether it is filled.
    """

    points: Points
    colour: Colour
    shading: Literal["flat", "linear", "sphere", "cylinder"] = "linear"
    texture: Texture = "plain"
    closed: bool = True


def points(*xy: tuple[float, float]) -> Points:
    """Collect corners in an array (N, 2)."""
    return np.array(xy, np.float64)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Outline an axis-parallel rectangle; (4, 2)."""
    return points((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def arc(
    centre: tuple[float, float],
    radii: tuple[float, float],
    degrees: tuple[float, float] = (0.0, 360.0),
    num: int = 28,
) -> Points:
    """Follow an elliptic arc, counter-clockwise from +x.

    Returns:
        (num, 2); for a whole turn the end is not repeated.
    """
    whole = abs(degrees[1] - degrees[0]) >= 360.0
    t = np.radians(np.linspace(*degrees, num, endpoint=not whole))
    return np.stack([centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)], 1)


def rotated(outline: Points, degrees: float, centre: tuple[float, float]) -> Points:
    """Turn an outline counter-clockwise about a centre; (N, 2)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (outline - centre) @ np.array([[c, s], [-s, c]]) + centre


def smooth(corners: Points, rounds: int = 2, closed: bool = True) -> Points:
    """Cut corners by Chaikin's scheme; (N * 2**rounds, 2) when closed."""
    p = corners
    for _ in range(rounds):
        q = np.roll(p, -1, 0) if closed else p[1:]
        p0 = p if closed else p[:-1]
        cut = np.stack([0.75 * p0 + 0.25 * q, 0.25 * p0 + 0.75 * q], 1).reshape(-1, 2)
        p = cut if closed else np.concatenate([p[:1], cut, p[-1:]])
    return p


def lobed(
    centre: tuple[float, float], radii: tuple[float, float], lobes: int, depth: float, phase: float
) -> Points:
    """Outline a cloud of round bumps; (8 * lobes, 2)."""
    t = np.linspace(0.0, 2.0 * np.pi, 8 * lobes, endpoint=False)
    r = 1.0 - depth + depth * np.abs(np.sin(0.5 * lobes * (t + phase)))
    return np.stack([centre[0] + radii[0] * r * np.cos(t), centre[1] + radii[1] * r * np.sin(t)], 1)
