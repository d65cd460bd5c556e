"""Numbers and ranges of workers."""

from __future__ import annotations

import pytest

from pipeline.recipe.workers import WorkerRange, worker_range


@pytest.mark.parametrize(
    ("text", "least", "most"), [("auto", 1, None), ("3", 3, 3), ("2..8", 2, 8), ("", 1, None)]
)
def test_ranges_are_read(text: str, least: int, most: int | None) -> None:
    assert worker_range(text) == WorkerRange(least, most)
    assert str(worker_range(text)) == (text or "auto")


@pytest.mark.parametrize("text", ["0", "0..2", "4..2", "two", "1..", "-1", "1.5"])
def test_mistakes_say_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"--workers .*expected"):
        worker_range(text)
