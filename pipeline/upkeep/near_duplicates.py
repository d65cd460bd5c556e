"""Images that look alike: difference hashes that differ in few bits.

Words: a 64-bit hash is four words of 16 bits. Two hashes that differ in at most three bits have one
word in common at least, so that only hashes with a common word need to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Bits of 64; with one more, four words would no longer do.
MAX_BITS = 3


def first_alike(hashes: Sequence[str]) -> NDArray[np.int64]:
    """For each hash the number of the first one that differs from it in at most MAX_BITS bits.

    Args:
        hashes: of 16 hexadecimal digits, as `scores.difference_hash` gives them.

    Returns:
        (N,); a hash's own number where none before it is alike.
    """
    values = np.array([int(each, 16) for each in hashes], np.uint64)
    first = np.arange(len(values))
    for words in values.view(np.uint16).reshape(-1, 4).T:
        order = np.argsort(words, kind="stable")  # numbers still rise within equal words
        for group in np.split(order, np.flatnonzero(np.diff(words[order])) + 1):
            for place in range(1, len(group)):
                number = group[place]
                different = np.bitwise_count(values[group[:place]] ^ values[number])
                alike = different <= MAX_BITS
                if alike.any():
                    first[number] = min(first[number], group[alike.argmax()])
    return first
