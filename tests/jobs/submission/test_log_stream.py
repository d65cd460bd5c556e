"""Log streams: every line once and in order, whatever becomes of the connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from jobs.submission.log_stream import LogStream

LOG = "".join(f"line {number} äö\n" for number in range(50))


def tail_of(pieces: list[list[str]], errors: list[bool]) -> object:
    """Connections that bring pieces, each from the log's start on, and end or break."""

    async def tail() -> AsyncIterator[str]:
        for piece in pieces.pop(0):
            yield piece
        if errors.pop(0):
            raise RuntimeError("WebSocket connection closed unexpectedly")
        if not pieces:
            await asyncio.sleep(60)

    return tail


def collected(stream: LogStream, chars: int) -> str:
    text, until_s = "", time.monotonic() + 20.0
    while len(text) < chars and time.monotonic() < until_s:
        text += stream.read(0.1)
    return text


@pytest.mark.parametrize("breaks", [True, False])
def test_connections_begin_anew_and_nothing_comes_twice(
    monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    monkeypatch.setattr("jobs.submission.log_stream._FIRST_PAUSE_S", 0.01)
    pieces = [
        [],
        [LOG[:7], LOG[7:30]],
        [LOG[:3]],
        [LOG[:100]],
        [LOG[:50], LOG[50:200], LOG[200:]],
    ]
    errors = [breaks] * 4 + [False]
    with LogStream(tail_of(pieces, errors)) as stream:  # type: ignore[arg-type]
        assert collected(stream, len(LOG)) == LOG
        assert stream.rest_of(LOG + "more\nand no end") == "more\nand no end"
        assert stream.rest_of(LOG) == ""


def test_what_is_known_is_skipped_and_lines_stay_whole() -> None:
    pieces = [[LOG[:20], LOG[20:90]]]
    with LogStream(tail_of(pieces, [False]), skip=LOG.index("line 3")) as stream:  # type: ignore[arg-type]
        text = ""
        until_s = time.monotonic() + 20.0
        while "line 5" not in text and time.monotonic() < until_s:
            text += stream.read(0.1)
        assert text.startswith("line 3 ") and text.endswith("\n")
        # The line that is cut comes whole, later.
        assert text + stream.rest_of(LOG) == LOG[LOG.index("line 3") :]


def test_a_silent_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.submission.log_stream._FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("jobs.submission.log_stream._SILENCE_S", 0.2)
    opened = []

    async def tail() -> AsyncIterator[str]:
        opened.append(len(opened))
        if len(opened) == 1:
            await asyncio.sleep(3600)
        yield LOG

    with LogStream(tail) as stream:
        assert collected(stream, len(LOG)) == LOG
