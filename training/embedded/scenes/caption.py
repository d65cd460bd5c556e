"""Captions: short English of a small vocabulary, lower case, at most twenty words."""

from __future__ import annotations

import numpy as np

NUMBERS = {2: "two", 3: "three", 4: "four"}


def subject(kinds: tuple[str, ...], colours: tuple[str, ...], relation: str) -> str:
    """Say what is seen, without the place.

    Args:
        kinds: of the objects, in order.
        colours: likewise.
        relation: the phrase between two objects, "count" for several of a kind, or "and".
    """
    if relation == "count":
        return f"{NUMBERS[len(kinds)]} {colours[0]} {_plural(kinds[0])}"
    names = [_noun(c, k) for c, k in zip(colours, kinds, strict=True)]
    if len(names) == 1:
        return names[0]
    if len(names) == 2:
        return f"{names[0]} {relation} {names[1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def caption(rng: np.random.Generator, seen: str, phrases: tuple[str, ...]) -> str:
    """Join what is seen with one of the place's phrases, sometimes as "a photo of"."""
    text = f"{seen} {phrases[rng.integers(len(phrases))]}" if phrases else seen
    return f"a photo of {text}" if rng.random() < 0.3 else text


def _noun(colour: str, kind: str) -> str:
    """Name one coloured object with its article, such as "an orange cat"."""
    return f"{'an' if colour == 'orange' else 'a'} {colour} {kind}"


def _plural(kind: str) -> str:
    """Form the plural of a kind."""
    return kind if kind == "fish" else f"{kind}s"
