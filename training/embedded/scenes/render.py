"""Painter's algorithm: parts onto an image, a depth map and a line drawing at once.

S: side of the frame in pixels, h, w: sides of a box in it, N: points of an outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from training.embedded.scenes.noise import grain, pink
from training.embedded.scenes.outline import Part, Points

Floats = NDArray[np.floating]

SHIFT = 4
PAPER, INK = 255, 0


@dataclass(frozen=True)
class Canvas:
    """The three pictures being painted.

    Attributes:
        image: float32 (S, S, 3), RGB in [0, 255].
        depth: float32 (S, S), 1 = near.
        ink: uint8 (2 S, 2 S), 255 = paper.
    """

    image: NDArray[np.float32]
    depth: NDArray[np.float32]
    ink: Pixels

    @property
    def size(self) -> int:
        """S, in pixels."""
        return self.depth.shape[0]


@dataclass(frozen=True)
class Light:
    """Unit vector towards the light in image axes: x right, y down, z to the viewer."""

    x: float
    y: float
    z: float


def blank_canvas(size: int) -> Canvas:
    """Make an empty canvas of a size in pixels."""
    return Canvas(
        np.zeros((size, size, 3), np.float32),
        np.zeros((size, size), np.float32),
        np.full((2 * size, 2 * size), PAPER, np.uint8),
    )


def fixed(xy_px: Points, scale: float = 1.0) -> NDArray[np.int32]:
    """Convert continuous coordinates to OpenCV's fixed point, whose integers are pixel centres."""
    return np.round((xy_px * scale - 0.5) * (1 << SHIFT)).astype(np.int32)


def draw_ink(ink: Pixels, xy_px: Points, closed: bool) -> None:
    """Fill an outline (N, 2) with paper and stroke it; an open one is only stroked."""
    outline = [fixed(xy_px, 2.0)]
    thickness = max(1, round(ink.shape[0] * (2 if closed else 1) / 256))
    if closed:
        cv2.fillPoly(ink, outline, PAPER, cv2.LINE_AA, SHIFT)
    cv2.polylines(ink, outline, closed, INK, thickness, cv2.LINE_AA, SHIFT)


def paint_part(
    canvas: Canvas,
    part: Part,
    xy_px: Points,
    plane: float,
    light: Light,
    rng: np.random.Generator,
) -> None:
    """Draw one part at coordinates (N, 2) in pixels, on the plane of a depth in [0, 1]."""
    draw_ink(canvas.ink, xy_px, part.closed)
    low, high = xy_px.min(0), xy_px.max(0)
    x0, y0 = np.maximum(np.floor(low).astype(int) - 2, 0).tolist()
    x1, y1 = np.minimum(np.ceil(high).astype(int) + 2, canvas.size).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    mask = _coverage(xy_px, (x0, y0, x1, y1), part.closed, canvas.size)
    region = canvas.image[y0:y1, x0:x1]
    alpha = (mask * np.float32(1.0 / 255.0))[:, :, None]
    if not part.closed:
        region += alpha * (part.colour - region)
        return
    centre, half = 0.5 * (low + high), np.maximum(0.5 * (high - low), 0.5)
    u = ((np.arange(x0, x1) + 0.5 - centre[0]) / half[0]).astype(np.float32)[None, :]
    v = ((np.arange(y0, y1) + 0.5 - centre[1]) / half[1]).astype(np.float32)[:, None]
    gain = _shade(part, u, v, light) + _pattern(part, u, v)
    gain = gain + 0.025 * pink(rng, y1 - y0, x1 - x0)
    # A little light added as well, else shading would not show on black.
    colour = gain[:, :, None] * (part.colour + 10.0) - 10.0
    region += alpha * (np.minimum(colour, 255.0) - region)
    bulge = 0.04 * np.sqrt(np.maximum(1.0 - 0.5 * (u * u + v * v), 0.0))
    np.copyto(canvas.depth[y0:y1, x0:x1], plane + bulge, where=mask > 127)


def paint_shadow(
    canvas: Canvas, centre_px: tuple[float, float], width_px: float, light: Light
) -> None:
    """Darken the ground by a soft contact shadow, longer on the side away from the light."""
    rx, ry = 0.62 * width_px, 0.13 * width_px + 1.0
    cx, cy = centre_px[0] - 0.16 * width_px * light.x, centre_px[1]
    x0, x1 = max(int(cx - 2 * rx), 0), min(int(cx + 2 * rx) + 1, canvas.size)
    y0, y1 = max(int(cy - 2 * ry), 0), min(int(cy + 2 * ry) + 1, canvas.size)
    if x1 <= x0 or y1 <= y0:
        return
    u = ((np.arange(x0, x1) + 0.5 - cx) / rx).astype(np.float32)[None, :]
    v = ((np.arange(y0, y1) + 0.5 - cy) / ry).astype(np.float32)[:, None]
    canvas.image[y0:y1, x0:x1] *= (1.0 - 0.5 * np.exp(-1.6 * (u * u + v * v) ** 1.5))[:, :, None]


def develop(canvas: Canvas, rng: np.random.Generator) -> Pixels:
    """Finish the image like a photograph, by slight blur, vignette, exposure and grain.

    Returns:
        uint8 (S, S, 3).
    """
    size = canvas.size
    image = cv2.GaussianBlur(canvas.image, (0, 0), rng.uniform(0.4, 0.7) * size / 128)
    y = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    vignette = 1.0 - rng.uniform(0.0, 0.1) * (y[:, None] ** 2 + y[None, :] ** 2)
    image *= (np.float32(rng.uniform(0.92, 1.05)) * vignette)[:, :, None]
    image += np.float32(rng.uniform(0.2, 1.5)) * grain(rng, size)
    return np.clip(image + 0.5, 0.0, 255.0).astype(np.uint8)


def line_art(canvas: Canvas) -> Pixels:
    """Bring the line drawing to the frame's size: -> uint8 (S, S), 255 = paper."""
    return cv2.resize(canvas.ink, (canvas.size, canvas.size), interpolation=cv2.INTER_AREA)


def _coverage(xy_px: Points, box: tuple[int, int, int, int], closed: bool, size: int) -> Pixels:
    """Measure how much of each pixel an outline covers within a box (x0, y0, x1, y1); (h, w)."""
    x0, y0, x1, y1 = box
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    outline = [fixed(xy_px - (x0, y0))]
    if closed:
        cv2.fillPoly(mask, outline, 255, cv2.LINE_AA, SHIFT)
    else:
        cv2.polylines(mask, outline, False, 255, max(1, round(size / 128)), cv2.LINE_AA, SHIFT)
    return mask


def _shade(part: Part, u: Floats, v: Floats, light: Light) -> Floats:
    """Light a part over its own frame, u (1, w), v (h, 1) in [-1, 1]: -> brightness, (h, w)."""
    if part.shading == "sphere":
        z = np.sqrt(np.maximum(1.0 - u * u - v * v, 0.0))
        lambert = np.maximum(light.x * u + light.y * v + light.z * z, 0.0)
        return 0.55 + 0.55 * lambert + 0.3 * lambert**16
    if part.shading == "cylinder":
        z = np.sqrt(np.maximum(1.0 - u * u, 0.0)) + 0.0 * v
        return 0.62 + 0.45 * np.maximum(1.3 * light.x * u + light.z * z, 0.0)
    if part.shading == "linear":
        return 1.0 + 0.1 * (light.x * u + light.y * v)
    return np.ones(np.broadcast_shapes(u.shape, v.shape), np.float32)


def _pattern(part: Part, u: Floats, v: Floats) -> Floats | float:
    """Draw a faint pattern of brightness over a part's frame; broadcasts to (h, w)."""
    if part.texture == "stripes":
        return 0.09 * np.tanh(3.0 * np.sin(9.0 * v))
    if part.texture == "dots":
        return -0.16 / (1.0 + np.exp(-9.0 * (np.cos(11.0 * u) * np.cos(11.0 * v) - 0.45)))
    return 0.0
