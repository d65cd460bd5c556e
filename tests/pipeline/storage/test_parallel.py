"""Many requests at once: in order, few under way, and none begun after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.storage.parallel import in_parallel


def test_answers_come_in_order_and_at_the_same_time() -> None:
    together = threading.Barrier(4, timeout=20)

    def request(number: int) -> int:
        together.wait()
        time.sleep(0.01 * (3 - number % 4))
        return number * number

    assert list(in_parallel(request, range(8), threads=4)) == [n * n for n in range(8)]


def test_few_requests_are_asked_for_ahead() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            asked.append(number)
            yield number

    answers = in_parallel(lambda number: number, items(), threads=2)
    assert next(answers) == 0 and len(asked) < 20
    assert sum(answers) == sum(range(1, 10_000))


def test_the_first_failure_ends_it() -> None:
    begun: list[int] = []

    def request(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("the third")
        return number

    answers = in_parallel(request, range(10_000), threads=2)
    with pytest.raises(ValueError, match="the third"):
        list(answers)
    assert max(begun) < 100
