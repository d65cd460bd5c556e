"""Grounds: where objects stand, as sky or wall plus layers below an edge."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.embedded.scenes.leaves import paint_leaves
from training.embedded.scenes.noise import pink
from training.embedded.scenes.palette import COLOURS, Colour, Rgb, jitter
from training.embedded.scenes.render import Canvas, draw_ink

NEAR = 0.88


@dataclass(frozen=True)
class Layer:
    """What lies below an edge. Lengths are fractions of the frame.

    Attributes:
        edge: the range of the edge's height, from the top.
        far: colour at the edge.
        near: colour at the bottom of the frame.
        amplitude: of the texture's brightness.
        stretch: of the texture along x.
        hill: height of the edge's undulation.
    """

    edge: tuple[float, float]
    far: Rgb
    near: Rgb
    amplitude: float
    stretch: float = 1.0
    hill: float = 0.0


@dataclass(frozen=True)
class Ground:
    """A place where objects stand.

    Attributes:
        name: its own.
        phrases: what captions may call it.
        top: colour of the sky or wall at the top of the frame.
        bottom: likewise at the bottom.
        layers: what lies before it, from back to front.
        clouds: how much they cover of the sky, from 0.
        texture: amplitude of the sky's or wall's brightness.
        floats: whether objects hang rather than stand, without shadow.
        avoid: colours of objects that would not show.
    """

    name: str
    phrases: tuple[str, ...]
    top: Rgb
    bottom: Rgb
    layers: tuple[Layer, ...] = ()
    clouds: float = 0.0
    texture: float = 0.02
    floats: bool = False
    avoid: tuple[str, ...] = ()


GRASS = Layer((0.5, 0.72), (112, 158, 74), (76, 128, 48), 0.07, hill=0.02)
SEA = Layer((0.36, 0.44), (60, 120, 168), (84, 160, 190), 0.06, stretch=4.0)
SAND = Layer((0.56, 0.68), (224, 204, 160), (208, 180, 130), 0.05, hill=0.01)
SNOW = Layer((0.5, 0.7), (214, 220, 230), (238, 241, 246), 0.03, hill=0.03)
TABLE = Layer((0.58, 0.72), (150, 104, 64), (172, 120, 74), 0.12, stretch=7.0)
LAND = Layer((0.74, 0.84), (34, 44, 44), (26, 34, 32), 0.1, hill=0.02)
DUSK = Layer((0.6, 0.7), (112, 70, 78), (72, 48, 60), 0.08, hill=0.01)
STONE = Layer((0.55, 0.68), (136, 134, 130), (158, 156, 150), 0.07)
OCEAN = Layer((0.48, 0.6), (44, 100, 158), (38, 116, 158), 0.09, stretch=4.0)

GROUNDS: dict[str, Ground] = {g.name: g for g in (
    Ground("grass", ("on grass", "on grass under a blue sky"),
           (88, 152, 220), (186, 216, 240), (GRASS,), clouds=0.4),
    Ground("sand", ("on sand", "on sand by the sea"),
           (112, 176, 226), (204, 226, 238), (SEA, SAND)),
    Ground("snow", ("on snow", "on snow under a grey sky"),
           (150, 156, 166), (196, 200, 206), (SNOW,)),
    Ground("table", ("on a wooden table",), (206, 200, 184), (190, 182, 166), (TABLE,)),
    Ground("night", ("at night", "under the night sky"),
           (14, 18, 48), (42, 48, 92), (LAND,), avoid=("black",)),
    Ground("sunset", ("at sunset",), (96, 70, 128), (250, 170, 92), (DUSK,), clouds=0.15),
    Ground("studio", ("on a {} background", "before a {} wall"), (0, 0, 0), (0, 0, 0)),
    Ground("stone", ("on a stone floor",), (150, 140, 132), (122, 114, 108), (STONE,)),
    Ground("sea", ("on the sea", "on the sea under a blue sky"),
           (104, 164, 224), (200, 224, 240), (OCEAN,), clouds=0.3),
    Ground("water", ("in the water", "under water"),
           (70, 170, 196), (16, 74, 120), texture=0.07, floats=True),
    Ground("night sky", ("in the night sky",),
           (12, 14, 42), (40, 40, 92), floats=True, avoid=("black",)),
    Ground("leaves", ("among dead leaves",), (0, 0, 0), (0, 0, 0), floats=True),
)}  # fmt: skip
COMMON = ("grass", "sand", "snow", "table", "night", "sunset", "studio", "stone", "leaves")
# Where a kind is most at home, and how often it is there.
HOMES = {"fish": ("water", 0.45), "boat": ("sea", 0.5), "star": ("night sky", 0.4)}
DEAD = [(142, 112, 80), (118, 92, 66), (164, 138, 100), (108, 104, 88), (134, 98, 72)]
GREEN = [(74, 122, 52), (98, 146, 66), (54, 98, 46), (124, 158, 84), (64, 110, 70)]
WALLS = ("white", "blue", "green", "pink", "yellow", "grey", "orange", "purple")


def paint_ground(canvas: Canvas, ground: Ground, rng: np.random.Generator) -> float:
    """Paint a whole ground, unless it is the studio.

    Returns:
        Height of the horizon, a fraction of the frame from the top.
    """
    if ground.name == "leaves":
        paint_leaves(canvas, rng, DEAD, leafy=0.7, coarse=8.0)
        return 0.0
    _paint_sky(canvas, ground, rng)
    if ground.name.startswith("night"):
        _paint_stars(canvas, rng)
    horizon = 0.0
    for layer in ground.layers:
        horizon = _paint_layer(canvas, layer, rng)
    return horizon


def wall_colour(name: str) -> Rgb:
    """Look up a wall's colour, softer than an object's of the same name."""
    rgb = (150, 150, 152) if name == "grey" else COLOURS[name]
    return _mixed(rgb, 205, 0.4)


def studio(rng: np.random.Generator, avoid: tuple[str, ...]) -> Ground:
    """Make a plain backdrop of one named colour, not one of those to avoid."""
    names = [n for n in WALLS if n not in avoid]
    name = names[rng.integers(len(names))]
    rgb = wall_colour(name)
    shade = _mixed(rgb, 0, 0.14)
    floor = Layer((0.64, 0.74), shade, rgb, 0.02)
    phrases = tuple(p.format(name) for p in GROUNDS["studio"].phrases)
    return Ground("studio", phrases, rgb, shade, (floor,), texture=0.015)


def _blend(size: int, top: Colour, bottom: Colour) -> NDArray[np.float32]:
    """Make a vertical gradient from one colour (3,) to another; float32 (size, 1, 3)."""
    t = np.linspace(0.0, 1.0, size, dtype=np.float32)[:, None, None]
    return top + t * (bottom - top)


def _paint_sky(canvas: Canvas, ground: Ground, rng: np.random.Generator) -> None:
    """Fill the frame with the ground's sky or wall."""
    size = canvas.size
    gradient = _blend(size, jitter(rng, ground.top), jitter(rng, ground.bottom))
    canvas.image[:] = gradient * (1.0 + ground.texture * pink(rng, size, size))[:, :, None]
    if ground.clouds > 0.0:
        cover = np.clip(0.45 * pink(rng, size, size, (1.0, 2.0)) - 0.1, 0.0, 1.0)
        veil = 1.6 * ground.clouds * cover
        canvas.image[:] += veil[:, :, None] * (250.0 - canvas.image)
    canvas.depth[:] = 0.02


def _paint_stars(canvas: Canvas, rng: np.random.Generator) -> None:
    """Sprinkle small points of light in the sky."""
    sky = np.zeros((canvas.size, canvas.size), np.uint8)
    for x, y, glow in rng.random((int(rng.integers(12, 30)), 3)):
        at = np.round(np.array((x, y)) * canvas.size * 16).astype(int).tolist()
        cv2.circle(sky, at, 8 * canvas.size // 128, 90 + int(150 * glow), -1, cv2.LINE_AA, 4)
    canvas.image[:] += sky[:, :, None] * np.float32(0.8)


def _paint_layer(canvas: Canvas, layer: Layer, rng: np.random.Generator) -> float:
    """Paint what lies below the layer's edge: -> the edge's mean height, a frame fraction."""
    size = canvas.size
    level = rng.uniform(*layer.edge)
    x = np.linspace(0.0, 1.0, size + 1)
    wave = np.sin(2.0 * np.pi * (rng.uniform(0.5, 1.2) * x + rng.random()))
    edge = size * (level + layer.hill * wave)
    path = np.stack([x * size, edge], 1)
    draw_ink(
        canvas.ink,
        np.vstack(
            [
                [[-9, 2 * size]],
                [[-9, edge[0]]],
                path,
                [[size + 9, edge[-1]]],
                [[size + 9, 2 * size]],
            ]
        ),
        closed=True,
    )
    first = max(int(edge.min()) - 1, 0)
    image, depth = canvas.image[first:], canvas.depth[first:]
    y = np.arange(first, size, dtype=np.float32)[:, None] + 0.5
    below = y - edge[:-1].astype(np.float32)[None, :]
    alpha = np.clip(below + 0.5, 0.0, 1.0)
    t = np.clip(below / (size * (1.0 - level)), 0.0, 1.0)
    far, near = jitter(rng, layer.far), jitter(rng, layer.near)
    colour = far + t[:, :, None] * (near - far)
    grit = pink(rng, size - first, size, (1.0, layer.stretch))
    colour *= (1.0 + layer.amplitude * grit)[:, :, None]
    image += alpha[:, :, None] * (colour - image)
    np.copyto(depth, 0.06 + (NEAR - 0.06) * t, where=below > 0.0)
    return level


def _mixed(rgb: Rgb, level: int, share: float) -> Rgb:
    """Mix `share` of a grey level into a colour."""
    red, green, blue = (int((1 - share) * c + share * level) for c in rgb)
    return red, green, blue
