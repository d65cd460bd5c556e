"""The ten object kinds: each makes its Parts, back to front, from a generator and a colour."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.embedded.scenes.outline import (
    Part,
    Texture,
    arc,
    lobed,
    points,
    rectangle,
    rotated,
    smooth,
)
from training.embedded.scenes.palette import (
    CREAM,
    DARK,
    GLASS,
    LEAF,
    PALE,
    WOOD,
    Colour,
    Rgb,
    jitter,
)

Maker = Callable[[np.random.Generator, Colour], list[Part]]


def house(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Build a gabled house: chimney, walls, roof, door, two windows."""
    w, h, roof = rng.uniform(0.38, 0.46), rng.uniform(0.46, 0.56), rng.uniform(0.34, 0.46)
    roofs = [(150, 62, 48), (92, 84, 88), (112, 70, 46), (70, 88, 116)]
    tile = jitter(rng, roofs[rng.integers(4)])
    if np.abs(tile - colour).sum() < 130.0:
        tile = _contrast(colour, (196, 186, 176), (84, 76, 78))
    side = 1.0 if rng.random() < 0.5 else -1.0
    parts = [
        Part(rectangle(side * 0.24 - 0.055, h, side * 0.24 + 0.055, h + 0.95 * roof), tile * 0.8),
        Part(rectangle(-w, 0.0, w, h), colour, texture=_surface(rng, "stripes")),
        Part(points((-w - 0.09, h - 0.02), (w + 0.09, h - 0.02), (0.0, h + roof)), tile),
        Part(rectangle(-0.085, 0.0, 0.085, 0.3), _contrast(colour, (214, 170, 110), (104, 60, 36))),
    ]
    for x in (-0.6 * w, 0.6 * w):
        x0, y0, x1, y1 = x - 0.085, 0.22, x + 0.085, 0.4
        parts += [
            Part(rectangle(x0, y0, x1, y1), jitter(rng, GLASS)),
            Part(points((x, y0), (x, y1)), np.array(PALE, np.float32), closed=False),
            Part(points((x0, 0.31), (x1, 0.31)), np.array(PALE, np.float32), closed=False),
        ]
    return parts


def tree(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Grow a broadleaf with a lobed crown, or a conifer of three tiers."""
    t = rng.uniform(0.06, 0.085)
    bark = _contrast(colour, (146, 98, 60), (104, 66, 40))
    half = points((1.5 * t, 0.0), (0.9 * t, 0.12), (0.8 * t, 0.5))
    trunk = np.vstack([half, (half * (-1.0, 1.0))[::-1]])
    parts = [Part(trunk, bark, "cylinder")]
    if rng.random() < 0.6:
        rx, ry = rng.uniform(0.36, 0.44), rng.uniform(0.3, 0.36)
        lobes = int(rng.integers(7, 10))
        crown = lobed((0.0, 1.0 - ry), (rx, ry), lobes, 0.16, rng.uniform(0.0, 2.0))
        return parts + [Part(crown, colour, "sphere", _surface(rng, "dots"))]
    base, w = rng.uniform(0.16, 0.24), rng.uniform(0.34, 0.4)
    for i, shrink in enumerate((1.0, 0.8, 0.58)):
        y = base + 0.24 * i
        tier = points((-w * shrink, y), (0.0, y - 0.03), (w * shrink, y), (0.0, y + 0.4))
        parts.append(Part(tier, colour, "cylinder"))
    return parts


def ball(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Make a sphere: plain, with a band, or with beach-ball wedges."""
    second = np.array((164, 176, 188) if colour.min() > 200.0 else PALE, np.float32)
    disc = arc((0.0, 0.5), (0.5, 0.5), num=48)
    parts = [Part(disc, colour, "sphere")]
    style, tilt = rng.random(), rng.uniform(-35.0, 35.0)
    if style < 0.35:
        lower, upper = arc((0, 0.5), (0.5, 0.5), (194, 346)), arc((0, 0.5), (0.5, 0.5), (14, 166))
        dip = np.stack([np.linspace(-0.485, 0.485, 15), 0.5 + np.zeros(15)], 1)
        bow = 0.12 * (1.0 - (dip[:, 0] / 0.485) ** 2)
        low = dip + np.stack([0 * bow, -0.12 - bow], 1)
        high = dip + np.stack([0 * bow, 0.12 - bow], 1)
        band = np.vstack([low, lower[-1:], upper[:1], high[::-1], upper[-1:], lower[:1]])
        parts.append(Part(rotated(band, tilt, (0.0, 0.5)), second, "sphere"))
    elif style < 0.7:
        pole = np.array([[-0.1, 0.72]])
        for a in (20.0, 140.0, 260.0):
            rim = arc((0.0, 0.5), (0.5, 0.5), (a + tilt, a + tilt + 58.0), 12)
            parts.append(Part(np.vstack([pole, rim]), second, "linear"))
        parts.append(Part(arc((-0.1, 0.72), (0.07, 0.06), num=12), second * 0.92))
    return parts


def mushroom(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Grow a toadstool: swollen stem, gills, domed cap with round spots."""
    s, brim = rng.uniform(0.11, 0.15), rng.uniform(0.42, 0.5)
    cream = jitter(rng, CREAM)
    half = points((1.5 * s, 0.0), (1.35 * s, 0.14), (s, 0.3), (s, brim + 0.04))
    stem = np.vstack([half, (half * (-1.0, 1.0))[::-1]])
    w, dome = rng.uniform(0.44, 0.52), 1.0 - brim
    under = arc((0.0, brim), (w, 0.08), (180.0, 360.0), 16)
    cap = np.vstack([under, arc((0.0, brim), (w, dome), (0.0, 180.0), 26)[1:-1]])
    parts = [
        Part(smooth(stem, 1), cream, "cylinder"),
        Part(arc((0.0, brim), (0.9 * w, 0.115)), cream * 0.82),
        Part(cap, colour, "sphere"),
    ]
    spot = np.array((168, 150, 128) if colour.min() > 200.0 else PALE, np.float32)
    spots = ((-0.25, 0.28, 0.07), (0.05, 0.6, 0.085), (0.27, 0.25, 0.065), (0.0, 0.13, 0.055))
    for x, y, r in spots:
        centre = (x + rng.uniform(-0.03, 0.03), brim + y * dome)
        parts.append(Part(arc(centre, (r, 0.85 * r), num=14), spot))
    return parts


def fish(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Make a fish that faces right: forked tail, fins, almond body, eye, gill and mouth."""
    h, fin = rng.uniform(0.25, 0.33), colour * 0.78 + 0.1 * _contrast(colour)
    t = np.linspace(0.0, np.pi, 18)
    x = 0.08 + 0.44 * np.cos(t)
    body = np.concatenate(
        [
            np.stack([x, 0.35 + h * np.sin(t) ** 1.15], 1),
            np.stack([x[::-1], 0.35 - h * np.sin(t) ** 1.15], 1)[1:-1],
        ]
    )
    spread = rng.uniform(0.24, 0.3)
    tail = points((-0.3, 0.35), (-0.6, 0.35 + spread), (-0.52, 0.35), (-0.6, 0.35 - spread))
    top = points((-0.14, 0.52), (-0.1, 0.4 + h + 0.1), (0.12, 0.37 + h + 0.08), (0.28, 0.5))
    low = points((-0.02, 0.2), (-0.12, 0.26 - h), (0.14, 0.15))
    ink = _contrast(colour)
    return [
        Part(tail, fin),
        Part(smooth(top, 1), fin),
        Part(low, fin),
        Part(body, colour, "sphere", _surface(rng, "stripes", "dots")),
        Part(points((0.02, 0.38), (-0.16, 0.46), (-0.14, 0.28)), fin),
        Part(arc((0.16, 0.35), (0.08, 0.6 * h), (-80.0, 80.0), 10), ink, closed=False),
        Part(points((0.515, 0.32), (0.42, 0.3)), ink, closed=False),
        Part(arc((0.34, 0.42), (0.058, 0.058), num=16), np.array(PALE, np.float32), "flat"),
        Part(arc((0.352, 0.42), (0.03, 0.03), num=12), np.array(DARK, np.float32), "flat"),
    ]


def star(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Cut a five-pointed star, plain or with bevelled facets."""
    inner, turn = rng.uniform(0.21, 0.26), rng.uniform(-10.0, 10.0)
    t = np.radians(90.0 + turn + 36.0 * np.arange(10))
    r = np.where(np.arange(10) % 2 == 0, 0.54, inner)
    outline = np.stack([r * np.cos(t), 0.5 + r * np.sin(t)], 1)
    if rng.random() < 0.6:
        return [Part(outline, colour)]
    parts = [Part(outline, colour * 0.84)]
    for i in range(0, 10, 2):
        facet = np.vstack([[[0.0, 0.5]], outline[i : i + 2]])
        parts.append(Part(facet, np.minimum(colour * 1.08, 255.0)))
    return parts


def cup(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Make a mug: handle ring, tapered body, open rim, drink; sometimes a band."""
    top, foot, h = rng.uniform(0.36, 0.42), rng.uniform(0.28, 0.36), rng.uniform(0.74, 0.86)
    ring = np.vstack(
        [
            arc((top - 0.06, 0.52 * h), (0.3, 0.27), (-90.0, 90.0), 16),
            arc((top - 0.06, 0.52 * h), (0.19, 0.165), (90.0, -90.0), 16),
        ]
    )
    base = arc((0.0, 0.06), (foot, 0.07), (180.0, 360.0), 16)
    body = np.vstack([base, [[top, h], [-top, h]]])
    inside = np.minimum(colour * 0.55 + 0.12 * _contrast(colour), 255.0)
    drink = np.array((96, 58, 34), np.float32)
    glaze = _surface(rng, "dots", "stripes")
    parts = [Part(ring, colour * 0.9), Part(body, colour, "cylinder", glaze)]
    if rng.random() < 0.35:
        y0, y1 = 0.3 * h, 0.5 * h
        x0, x1 = (foot + (top - foot) * (y - 0.06) / (h - 0.06) for y in (y0, y1))
        band = np.vstack(
            [
                arc((0.0, y0), (x0, 0.06), (180.0, 360.0), 12),
                arc((0.0, y1), (x1, 0.06), (360.0, 180.0), 12),
            ]
        )
        parts.append(Part(band, _contrast(colour, CREAM, (150, 90, 70)), "cylinder"))
    return parts + [
        Part(arc((0.0, h), (top, 0.1)), np.minimum(colour * 1.06 + 8.0, 255.0)),
        Part(arc((0.0, h), (0.86 * top, 0.078)), inside),
        Part(arc((0.0, h - 0.018), (0.74 * top, 0.052)), drink, "flat"),
    ]


def flower(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Grow a daisy: stem, two leaves, five to eight petals, round heart."""
    bend, n = rng.uniform(-0.05, 0.05), int(rng.integers(5, 9))
    y, heart = 0.68, rng.uniform(0.09, 0.12)
    green = jitter(rng, LEAF)
    middle = points((0.0, 0.0), (bend, 0.3), (0.0, y))
    stem = np.vstack([middle + (0.026, 0.0), (middle - (0.026, 0.0))[::-1]])
    parts = [Part(stem, green)]
    for side in (-1.0, 1.0):
        leaf = points((0.0, 0.06), (0.15, 0.08), (0.3, 0.24), (0.33, 0.32), (0.14, 0.27))
        tall = (side, rng.uniform(0.85, 1.1))
        parts.append(Part(smooth(leaf, 2) * tall, green * rng.uniform(0.85, 1.1)))
    reach, width = rng.uniform(0.15, 0.17), min(0.135, 0.66 / n)
    start = rng.uniform(0.0, 360.0)
    for i in range(n):
        petal = arc((0.02 + reach, y), (reach, width), num=18)
        parts.append(Part(rotated(petal, start + 360.0 * i / n, (0.0, y)), colour))
    warm = (120, 72, 40) if colour[0] > 200.0 and colour[2] < 110.0 else (246, 200, 52)
    return parts + [Part(arc((0.0, y), (heart, heart), num=18), jitter(rng, warm), "sphere")]


def boat(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Build a sailing boat: mast, two sails, hull with a pale stripe."""
    deck, tip = rng.uniform(0.26, 0.32), rng.uniform(0.4, 0.48)
    hull = points((-0.32, 0.0), (0.3, 0.0), (0.42, 0.14), (0.54, deck), (-tip, deck), (-0.42, 0.1))
    sail = np.array(PALE if colour.min() < 200.0 else (206, 196, 176), np.float32)
    x, foot = rng.uniform(-0.06, 0.02), deck + 0.06
    stripe = points((-tip + 0.01, deck - 0.07), (0.5, deck - 0.07), (0.54, deck), (-tip, deck))
    flag = points((x, 1.02), (x - 0.16, 0.975), (x, 0.93))
    return [
        Part(rectangle(x - 0.022, deck, x + 0.022, 1.02), jitter(rng, WOOD)),
        Part(flag, colour),
        Part(points((x + 0.055, foot), (x + 0.48, foot), (x + 0.055, 0.94)), sail),
        Part(points((x - 0.055, foot), (x - 0.38, foot), (x - 0.055, 0.84)), sail * 0.93),
        Part(hull, colour, "linear"),
        Part(stripe, _contrast(colour, (236, 226, 206), (120, 84, 60))),
    ]


def cat(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Seat a cat, seen from the front: tail, body, paws, big head with ears, eyes and whiskers."""
    tail = smooth(
        points(
            (0.2, 0.02),
            (0.46, 0.02),
            (0.52, 0.2),
            (0.42, 0.38),
            (0.36, 0.34),
            (0.42, 0.2),
            (0.38, 0.12),
            (0.2, 0.14),
        ),
        2,
    )
    half = points((0.28, 0.0), (0.33, 0.16), (0.2, 0.5))
    body = smooth(np.vstack([half, (half * (-1.0, 1.0))[::-1]]), 2)
    fur = _surface(rng, "stripes")
    parts = [Part(tail, colour * 0.88), Part(body, colour * 0.95, "sphere", fur)]
    for side in (-1.0, 1.0):
        parts.append(Part(arc((side * 0.11, 0.04), (0.1, 0.055), num=16), colour))
    return parts + _cat_head(rng, colour)


def _luminance(rgb: Colour) -> float:
    """Weigh the channels of a colour to its Rec. 601 luma, in [0, 255]."""
    return float(rgb @ np.array([0.299, 0.587, 0.114], np.float32))


def _contrast(rgb: Colour, light: Rgb = PALE, dark: Rgb = DARK) -> Colour:
    """Choose whichever of a light and a dark colour stands out against rgb."""
    return np.array(dark if _luminance(rgb) > 150.0 else light, np.float32)


def _surface(rng: np.random.Generator, *textures: Texture) -> Texture:
    """Draw the texture of a main part: plain twice as often as patterned."""
    return textures[rng.integers(len(textures))] if rng.random() < 0.33 else "plain"


def _cat_head(rng: np.random.Generator, colour: Colour) -> list[Part]:
    """Make the cat's ears, face, eyes, nose, mouth and whiskers."""
    cheek, ear = rng.uniform(0.33, 0.37), rng.uniform(0.98, 1.06)
    iris = jitter(rng, [(150, 200, 70), (240, 196, 50), (110, 180, 220)][rng.integers(3)])
    ink, pink = _contrast(colour), np.array((232, 142, 150), np.float32)
    parts = []
    for s in (-1.0, 1.0):
        outer = points((s * 0.34, 0.68), (s * 0.31, ear), (s * 0.06, 0.82))
        inner = points((s * 0.29, 0.74), (s * 0.28, ear - 0.08), (s * 0.13, 0.82))
        parts += [Part(outer, colour), Part(inner, pink)]
    parts.append(Part(arc((0.0, 0.61), (cheek, 0.265), num=32), colour, "sphere"))
    for s in (-1.0, 1.0):
        parts += [
            Part(arc((s * 0.15, 0.65), (0.078, 0.07), num=16), iris, "flat"),
            Part(arc((s * 0.15, 0.65), (0.028, 0.062), num=12), np.array(DARK, np.float32), "flat"),
        ]
        for rise in (-0.03, 0.02, 0.07):
            whisker = points((s * 0.14, 0.52 + 0.3 * rise), (s * 0.44, 0.5 + rise))
            parts.append(Part(whisker, ink, closed=False))
        mouth = arc((s * 0.05, 0.5), (0.05, 0.045), (180.0, 360.0), 8)
        parts.append(Part(mouth, ink, closed=False))
    nose = points((-0.045, 0.565), (0.045, 0.565), (0.0, 0.515))
    return parts + [Part(nose, pink * 0.92, "flat")]


KINDS: dict[str, Maker] = {
    "house": house,
    "tree": tree,
    "ball": ball,
    "mushroom": mushroom,
    "fish": fish,
    "star": star,
    "cup": cup,
    "flower": flower,
    "boat": boat,
    "cat": cat,
}
# Kinds with a left and a right side, which may be mirrored.
HANDED = frozenset({"fish", "cup", "boat", "cat"})
