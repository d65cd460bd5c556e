"""How many workers are asked for: a number, a range, or as many as the cluster offers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"[0-9]{1,6}")
_EXPECTED = "expected a number such as 8, a range such as 2..8, or auto"


@dataclass(frozen=True)
class WorkerRange:
    """From `least` to `most` workers; `most` is None where the cluster decides."""

    least: int = 1
    most: int | None = None

    def __str__(self) -> str:
        if self.most is None:
            return "auto"
        return str(self.most) if self.least == self.most else f"{self.least}..{self.most}"


def worker_range(text: str, what: str = "--workers") -> WorkerRange:
    """Read `auto`, `N` or `MIN..MAX`.

    Args:
        what: where it was written, for the message.

    Raises:
        ValueError: it is something else, a number is 0, or MIN is larger than MAX.
    """
    if text in ("auto", ""):
        return WorkerRange()
    least, separator, most = text.partition("..")
    numbers = (least, most) if separator else (least, least)
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        raise ValueError(f"{what} {text}: {_EXPECTED}")
    found = WorkerRange(int(numbers[0]), int(numbers[1]))
    if found.least < 1 or found.most == 0:
        raise ValueError(f"{what} {text}: no work is done by 0 workers; {_EXPECTED}")
    if found.most is not None and found.least > found.most:
        raise ValueError(
            f"{what} {text}: MIN is larger than MAX; expected {found.most}..{found.least}"
        )
    return found
