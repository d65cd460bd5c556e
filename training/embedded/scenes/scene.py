"""Captioned scenes with exact line art and depth, each a function of its seed alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from training.embedded.scenes import caption as words
from training.embedded.scenes import grounds
from training.embedded.scenes.kinds import HANDED, KINDS
from training.embedded.scenes.leaves import paint_leaves
from training.embedded.scenes.noise import TILE, pink
from training.embedded.scenes.palette import COLOURS, NAMES, Colour, jitter
from training.embedded.scenes.render import (
    Canvas,
    Light,
    blank_canvas,
    develop,
    line_art,
    paint_part,
    paint_shadow,
)

KIND_NAMES = tuple(KINDS)
MIRRORED = {"left of": "right of", "in front of": "behind"}


@dataclass(frozen=True)
class Scene:
    """A picture of a few objects, with all that is known of it exactly.

    Attributes:
        image: uint8 (S, S, 3).
        line_art: uint8 (S, S), 255 = paper and 0 = ink.
        depth: float32 (S, S) in [0, 1], 1 = near.
        caption: short English.
        kinds: of the objects, in the caption's order; none where there is only a texture.
        colours: of the objects, likewise.
        ground: where they stand.
    """

    image: Pixels
    line_art: Pixels
    depth: NDArray[np.float32]
    caption: str
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    ground: str


@dataclass(frozen=True)
class Spot:
    """Where an object goes, in fractions of the frame.

    Attributes:
        x: of the object's middle.
        foot: height of its foot, from the top.
        size: its height.
    """

    x: float
    foot: float
    size: float


@dataclass(frozen=True)
class Composition:
    """Which objects, where, and the words between them in the caption."""

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    spots: tuple[Spot, ...]
    relation: str = "and"


def make_scene(seed: int, size: int = 128) -> Scene:
    """Make the scene of a seed.

    Args:
        seed: of everything in it.
        size: S in pixels, 32 to 512.

    Raises:
        ValueError: the size is out of range.
    """
    if not 32 <= size <= TILE:
        raise ValueError(f"size must be from 32 to {TILE} px, got {size}: pick one in that range")
    rng = np.random.default_rng(seed)
    canvas = blank_canvas(size)
    if rng.random() < 0.08:
        name, text = _make_texture(canvas, rng)
        return Scene(develop(canvas, rng), line_art(canvas), canvas.depth, text, (), (), name)
    kind = KIND_NAMES[rng.integers(len(KIND_NAMES))]
    ground = _pick_ground(rng, kind)
    composition = _make_composition(rng, kind, ground.avoid)
    if ground.name == "studio":
        ground = grounds.studio(rng, composition.colours)
    if ground.floats:
        composition = _hang(rng, composition)
    horizon = grounds.paint_ground(canvas, ground, rng)
    _paint_objects(canvas, composition, horizon, ground.floats, rng)
    seen = words.subject(composition.kinds, composition.colours, composition.relation)
    text = words.caption(rng, seen, ground.phrases)
    depth = np.clip(canvas.depth, 0.0, 1.0)
    return Scene(
        develop(canvas, rng),
        line_art(canvas),
        depth,
        text,
        composition.kinds,
        composition.colours,
        ground.name,
    )


def _pick_colours(rng: np.random.Generator, num: int, avoid: tuple[str, ...]) -> tuple[str, ...]:
    """Draw num different colour names, none of those to avoid."""
    allowed = [n for n in NAMES if n not in avoid]
    return tuple(allowed[i] for i in rng.permutation(len(allowed))[:num])


def _pick_ground(rng: np.random.Generator, kind: str) -> grounds.Ground:
    """Draw a ground that suits a kind."""
    home, share = grounds.HOMES.get(kind, ("", 0.0))
    if rng.random() < share:
        return grounds.GROUNDS[home]
    return grounds.GROUNDS[grounds.COMMON[rng.integers(len(grounds.COMMON))]]


def _place_one(rng: np.random.Generator) -> tuple[Spot, ...]:
    """Place one large object near the centre."""
    return (Spot(rng.uniform(0.42, 0.58), rng.uniform(0.84, 0.93), rng.uniform(0.52, 0.8)),)


def _place_two(rng: np.random.Generator, relation: str) -> tuple[Spot, ...]:
    """Place two objects, the first left of the second or in front of it."""
    if relation == "in front of":
        side = 1.0 if rng.random() < 0.5 else -1.0
        size = rng.uniform(0.42, 0.52)
        front = Spot(0.5 + side * rng.uniform(0.12, 0.18), rng.uniform(0.9, 0.95), size)
        back = Spot(0.5 - side * rng.uniform(0.1, 0.16), rng.uniform(0.76, 0.8), size + 0.12)
        return front, back
    foot = rng.uniform(0.82, 0.92)
    sizes = rng.uniform(0.4, 0.5, 2)
    x, feet = rng.uniform(0.23, 0.28), foot + rng.uniform(-0.02, 0.02, 2)
    return Spot(x, feet[0], sizes[0]), Spot(1.0 - x, feet[1], sizes[1])


def _place_many(rng: np.random.Generator, num: int) -> tuple[Spot, ...]:
    """Place two to four smaller objects in a row, the feet at different heights."""
    size = rng.uniform(0.85, 1.0) * {2: 0.42, 3: 0.33, 4: 0.27}[num]
    x = (np.arange(num) + 0.5) / num + rng.uniform(-0.02, 0.02, num)
    feet = rng.uniform(0.8, 0.92, num)
    return tuple(Spot(a, b, size) for a, b in zip(x, feet, strict=True))


def _make_composition(rng: np.random.Generator, kind: str, avoid: tuple[str, ...]) -> Composition:
    """Choose the composition: 65% one object, 25% two, 10% more or counted."""
    dice = rng.random()
    colours = _pick_colours(rng, 4, avoid)
    if dice < 0.65:
        return Composition((kind,), colours[:1], _place_one(rng))
    others = [k for k in KIND_NAMES if k != kind]
    others = [others[i] for i in rng.permutation(len(others))]
    if dice < 0.9:
        relation = ("left of", "in front of")[rng.integers(2)]
        spots, kinds = _place_two(rng, relation), (kind, others[0])
        style = rng.random()
        if style < 0.35:
            return Composition(kinds[::-1], colours[1::-1], spots[::-1], MIRRORED[relation])
        beside = relation == "left of" and style < 0.6
        return Composition(kinds, colours[:2], spots, "and" if beside else relation)
    num = int(rng.integers(2, 5))
    if dice < 0.96:
        return Composition((kind,) * num, colours[:1] * num, _place_many(rng, num), "count")
    return Composition((kind, *others[:2]), colours[:3], _place_many(rng, 3))


def _hang(rng: np.random.Generator, composition: Composition) -> Composition:
    """Lift a composition's objects off the ground, as in water or in the sky."""
    lift = rng.uniform(0.04, 0.12)
    few = len(composition.spots) < 3
    drops = [lift if few else rng.uniform(0.05, 0.45) for _ in composition.spots]
    return replace(composition, spots=tuple(
        replace(s, foot=max(s.foot - d, s.size + 0.06))
        for s, d in zip(composition.spots, drops, strict=True)))  # fmt: skip


def _paint_object(
    canvas: Canvas, kind: str, rgb: Colour, spot: Spot, floats: bool, horizon: float,
    light: Light, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw one object at a spot: hanging, or standing below the horizon with a shadow."""
    parts = KINDS[kind](rng, rgb)
    t = max((spot.foot - horizon) / (1.0 - horizon), 0.15)
    plane = 0.4 + 0.4 * spot.foot if floats else 0.06 + (grounds.NEAR - 0.06) * t
    points = np.concatenate([p.points for p in parts])
    low, high = points.min(0), points.max(0)
    # Wide kinds are scaled down a little, so that they fill no more of the frame than tall ones.
    scale = canvas.size * spot.size / max(high[1] - low[1], 0.85 * (high[0] - low[0]))
    room = 1.96 * canvas.size * min(spot.x, 1.0 - spot.x)
    scale = min(scale, room / (high[0] - low[0]))
    flip = -1.0 if kind in HANDED and rng.random() < 0.5 else 1.0
    foot = np.array((0.5 * (low[0] + high[0]), low[1]))
    origin = np.array((spot.x, spot.foot)) * canvas.size
    if not floats:
        paint_shadow(canvas, (origin[0], origin[1] - 1.0), scale * (high[0] - low[0]), light)
    for part in parts:
        xy = (part.points - foot) * (flip * scale, -scale) + origin
        paint_part(canvas, part, xy, plane, light, rng)


def _make_light(rng: np.random.Generator) -> Light:
    """Draw a light from above and before, left or right."""
    v = np.array((rng.uniform(-0.6, 0.6), -rng.uniform(0.35, 0.7), 0.75))
    return Light(*(v / np.linalg.norm(v)).tolist())


def _paint_objects(
    canvas: Canvas, composition: Composition, horizon: float, floats: bool, rng: np.random.Generator
) -> None:
    """Draw a composition's objects from the far ones to the near ones."""
    light = _make_light(rng)
    for i in sorted(range(len(composition.spots)), key=lambda i: composition.spots[i].foot):
        spot = composition.spots[i]
        if not floats:
            spot = replace(spot, foot=max(spot.foot, horizon + 0.05))
        rgb = jitter(rng, COLOURS[composition.colours[i]])
        _paint_object(canvas, composition.kinds[i], rgb, spot, floats, horizon, light, rng)


def _make_texture(canvas: Canvas, rng: np.random.Generator) -> tuple[str, str]:
    """Fill the canvas with natural-image statistics alone: -> ground and caption."""
    style, size = rng.random(), canvas.size
    if style < 0.35:
        paint_leaves(canvas, rng, grounds.DEAD, leafy=0.6, coarse=rng.uniform(5.0, 7.0))
        return "leaves", words.caption(rng, "dead leaves", ("on the ground", "and nothing else"))
    if style < 0.65:
        paint_leaves(canvas, rng, grounds.GREEN, leafy=1.0, coarse=rng.uniform(5.0, 8.0))
        return "foliage", words.caption(rng, "green leaves", ("of a bush", "and nothing else"))
    name = NAMES[rng.integers(len(NAMES))]
    rgb = jitter(rng, grounds.wall_colour(name))
    tint = np.stack([pink(rng, size, size) for _ in range(3)], 2)
    canvas.image[:] = rgb * (1.0 + 0.11 * pink(rng, size, size)[:, :, None] + 0.03 * tint)
    canvas.depth[:] = 0.1
    return "texture", words.caption(rng, f"a soft {name} texture", ())
