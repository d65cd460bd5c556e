"""A job's log as it grows, over connections that may end or break at any time.

Ray's server begins at the log's start on every connection, sends no sign of life, and may close in
a way that looks like the end. So what was shown is counted and skipped, and nothing is concluded
from an end: whether a job is over says its status.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable

# Between connections that brought nothing new; it doubles up to the last.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 1.0, 30.0
# A line that is silent for longer may be dead: the stages report at least every minute.
_SILENCE_S = 300.0


class LogStream:
    """Collects a log's text in a thread; use as a context.

    Args:
        tail: opens a connection and returns the text from the log's start on, piece by piece.
        skip: how many characters of the log's start are known already.
    """

    def __init__(self, tail: Callable[[], AsyncIterator[str]], skip: int = 0) -> None:
        self._position = skip
        self._held = ""
        self._tail = tail
        self._read = skip
        self._pieces: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        # Left behind at the process's end: nobody waits for a connection that hangs.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LogStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._cancel)

    def read(self, wait_s: float) -> str:
        """Return the lines that have come since the last call; wait for some up to `wait_s`."""
        try:
            pieces = [self._pieces.get(timeout=wait_s)]
            while not self._pieces.empty():
                pieces.append(self._pieces.get())
        except queue.Empty:
            return ""
        new = "".join(pieces)
        self._position += len(new)
        # What is shown beside the log must not come in the middle of a line.
        lines, newline, self._held = (self._held + new).rpartition("\n")
        return lines + newline

    def rest_of(self, log: str) -> str:
        """Return what a whole log has beyond all that `read` returned."""
        rest = self._held + log[self._position :]
        self._held, self._position = "", max(self._position, len(log))
        return rest

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._follow())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            before = self._read
            try:
                await self._read_connection()
            except Exception:  # noqa: BLE001 - the log is decoration; the status tells of trouble
                pass
            pause_s = _FIRST_PAUSE_S if self._read > before else min(2 * pause_s, _LAST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _read_connection(self) -> None:
        """Put what is new on one connection into the queue."""
        seen = 0
        stream = self._tail()
        while True:
            try:
                text = await asyncio.wait_for(anext(stream), _SILENCE_S)
            except StopAsyncIteration:
                return
            new = text[max(self._read - seen, 0) :]
            seen += len(text)
            if new:
                self._read += len(new)
                self._pieces.put(new)
