"""Durations as people write them."""

from __future__ import annotations

import pytest

from jobs.pages.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4.21, "4.2 s"),
        (185, "3 min 05 s"),
        (2 * 3600 + 7 * 60, "2 h 07 min"),
        (47 * 3600, "47 h 00 min"),
        (76 * 3600, "3 d 04 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
