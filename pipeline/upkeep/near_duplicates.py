"""Images that look alike: their difference hashes differ in few bits.

A 64-bit hash is four words of 16 bits. Two hashes that differ in at most three bits have at least
one word in common, so that only hashes with a common word need to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Out of 64 bits; with one more, four words would not be enough.
MAX_BITS = 3


def first_similar(hashes: Sequence[str]) -> NDArray[np.int64]:
    """Find for each hash the first one that differs from it in at most MAX_BITS bits.

    Args:
        hashes: 16 hexadecimal digits each, as `pair_stats.difference_hash` returns them.

    Returns:
        (N,): positions in `hashes`; a hash's own position where none before it is similar.
    """
    values = np.array([int(digits, 16) for digits in hashes], np.uint64)
    first = np.arange(len(values))
    for words in values.view(np.uint16).reshape(-1, 4).T:
        order = np.argsort(words, kind="stable")  # positions still rise within equal words
        for group in np.split(order, np.flatnonzero(np.diff(words[order])) + 1):
            for rank in range(1, len(group)):
                position = group[rank]
                num_bits = np.bitwise_count(values[group[:rank]] ^ values[position])
                similar = num_bits <= MAX_BITS
                if similar.any():
                    first[position] = min(first[position], group[similar.argmax()])
    return first
