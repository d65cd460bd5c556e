"""Which images show the same kind of thing: the classes that axes and colours of a page go by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

# DiffSketch's number where classes are found by clustering (B.2).
_NUM_CLUSTERS = 15
# Words that do not name a thing.
_FUNCTION_WORDS = frozenset(
    "a an the of in on at by with and or to from photo picture seen".split()
)


@dataclass(frozen=True)
class Classes:
    """Names of the classes, the number of every image's own (N,), and how they were found."""

    names: tuple[str, ...]
    labels: NDArray[np.integer]
    source: str


def classes_by_word(prompts: Sequence[str], words: Sequence[str]) -> Classes:
    """Class images by the first of `words` that their prompt names, in singular or plural."""
    found = [_first_of(prompt, words) for prompt in prompts]
    names = tuple(word for word in [*words, "other"] if word in found)
    labels = np.array([names.index(word) for word in found])
    return Classes(names, labels, "the first thing that the prompt names")


def classes_by_condition(
    prompts: Sequence[str], conditions: NDArray[np.floating], seed: int
) -> Classes:
    """Class images by K-means on their conditions (N, C), each named by its most telling word."""
    distinct = len(np.unique(conditions, axis=0))
    count = min(_NUM_CLUSTERS, distinct)
    labels = KMeans(count, n_init=10, random_state=seed).fit_predict(conditions)
    names: list[str] = []
    for label in range(count):
        names.append(_telling_word(prompts, labels == label, taken=names))
    return Classes(tuple(names), labels, f"{count} clusters of the prompts' embeddings")


def _first_of(prompt: str, words: Sequence[str]) -> str:
    """Return the word that a prompt names first, plurals too, or `other`."""
    for word in re.findall(r"[a-z]+", prompt.lower()):
        for name in (word, word.removesuffix("s")):
            if name in words:
                return name
    return "other"


def _telling_word(prompts: Sequence[str], inside: NDArray[np.bool_], taken: Sequence[str]) -> str:
    """Return the word whose share of prompts inside most exceeds that outside."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for prompt, is_inside in zip(prompts, inside, strict=True):
        counts[int(is_inside)].update(set(re.findall(r"\w+", prompt.lower())) - _FUNCTION_WORDS)
    most = {True: max(1, inside.sum()), False: max(1, (~inside).sum())}
    telling = {
        word: count / most[True] - counts[0][word] / most[False]
        for word, count in sorted(counts[1].items())
        if word not in taken
    }
    return max(telling, key=lambda word: telling[word], default=f"class {len(taken) + 1}")
