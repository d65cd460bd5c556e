"""Many small requests to a store at the same time: most of their time is spent waiting for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 16
# Requests asked for ahead of the oldest answer, for each thread. A dataset can have a quarter of a
# million shards: one future for each of them at once would take more memory than the answers.
_AHEAD = 4

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def in_parallel(
    ask: Callable[[_Item], _Answer], items: Iterable[_Item], threads: int = THREADS
) -> Iterator[_Answer]:
    """Yield the answers for items in their order, with few requests under way at any time.

    Raises:
        Exception: what `ask` raised for the first item that failed; later ones are not begun.
    """
    waiting: deque[Future[_Answer]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(ask, item))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
