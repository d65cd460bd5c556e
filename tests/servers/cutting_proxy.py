"""A proxy in front of a dashboard that cuts websockets, refuses requests, and loses answers."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.servers.loopback_proxy import LoopbackProxy

_END_OF_HEAD = b"\r\n\r\n"
_CHUNK_BYTES = 2**16


@dataclass
class Refusal:
    """Answer the requests of a method whose path matches: after `skip`, `times` of them.

    Args:
        status: of the answer; 0: the server does what is asked, and its answer is lost.
    """

    status: int
    method: str
    path: str
    times: int = 1
    skip: int = 0
    hits: int = 0

    def applies(self, method: str, target: str) -> bool:
        """Tell whether this request is one to break, and count it."""
        if method != self.method or not re.search(self.path, target):
            return False
        self.hits += 1
        return self.skip < self.hits <= self.skip + self.times


@dataclass
class CuttingProxy(LoopbackProxy):
    """Use as a context; `url` stands for the server at `target`.

    Args:
        cut_after_s: how long a websocket lives; None: as long as its ends want.
        quietly: close websockets as if the log had ended (code 1000), not in the middle.
        dead: nothing is answered any more.
    """

    target: str
    refusals: list[Refusal] = field(default_factory=list)
    cut_after_s: float | None = None
    quietly: bool = False
    dead: bool = False
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def count(self, method: str, path: str) -> int:
        """Number of requests seen."""
        return sum(m == method and bool(re.search(path, target)) for m, target in self.seen)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handle the one request of a connection."""
        if not self.dead:
            await self._pass_one_on(reader, writer)
        return False

    async def _pass_one_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(_END_OF_HEAD)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.seen.append((method, target))
        rule = next((rule for rule in self.refusals if rule.applies(method, target)), None)
        if rule is not None and rule.status:
            length = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(f"HTTP/1.1 {rule.status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        place = urlsplit(self.target)
        behind, ahead = await asyncio.open_connection(place.hostname, place.port)
        is_stream = b"upgrade: websocket" in head.lower()
        if not is_stream:
            # One request a connection, so that none passes by unseen.
            head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
            head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        ahead.write(head)
        there = asyncio.create_task(_copy(reader, ahead))
        try:
            if rule is not None:
                # All of the answer is read, so that what was asked for is done.
                await behind.read(-1)
                return
            limit_s = self.cut_after_s if is_stream else None
            await asyncio.wait_for(_copy(behind, writer), limit_s)
        except TimeoutError:
            if self.quietly:
                writer.write(b"\x88\x02\x03\xe8")
                await writer.drain()
        finally:
            there.cancel()
            ahead.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_CHUNK_BYTES):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
