"""What a person reads when a command ends early."""

from __future__ import annotations

import errno

import pytest

from jobs.cli.errors import explain, one_line


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("wrong size:\n  expected 4\n  got 5"), "wrong size: expected 4; got 5"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: no space left to write"),
        (OSError(errno.EFBIG, "File too large"), "no space left to write"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
    ],
)
def test_mistakes_are_explained_in_one_line(error: Exception, expected: str) -> None:
    assert explain(error).startswith(expected)
    assert "\n" not in explain(error)


def test_an_error_wrapped_by_a_worker_is_looked_through() -> None:
    class WrappedError(ValueError):
        cause = ValueError("the real one")

    assert explain(WrappedError("a remote\ntraceback")) == "the real one"


def test_empty_message_still_says_something() -> None:
    assert one_line("") == "unknown mistake"
