"""A proxy in front of an HTTP server that breaks what rules say, as often as they say."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from tests.servers.loopback_proxy import LoopbackProxy

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
_END_OF_HEAD = b"\r\n\r\n"


class Fault(Enum):
    """What happens to a request in place of being answered; refusals carry status and code."""

    UNAVAILABLE = (503, "ServiceUnavailable")
    SLOW_DOWN = (503, "SlowDown")
    INTERNAL = (500, "InternalError")
    CONFLICT = (409, "ConditionalRequestConflict")
    EXPIRED = (400, "ExpiredToken")
    RESET = "the connection is reset before the server sees the request"
    HANG = "nothing ever comes back; the server does not see the request"
    LOST = "the server does what is asked, and the connection is reset instead of its answer"
    TRUNCATED = "the answer's body ends in the middle"
    FLIPPED = "one bit of the answer's body is another"
    FLIPPED_UPLOAD = "one bit of the request's body is another"


@dataclass
class Rule:
    """Break the requests of a method whose path contains `path`: after `skip`, `times` of them."""

    fault: Fault
    method: str = "GET"
    path: str = ""
    times: float = 1
    skip: int = 0
    hits: int = 0

    def applies(self, method: str, target: str) -> bool:
        """Tell whether this request is one to break, and count it."""
        if method != self.method or not re.search(self.path, target):
            return False
        self.hits += 1
        return self.skip < self.hits <= self.skip + self.times


@dataclass
class FaultyProxy(LoopbackProxy):
    """Use as a context; `url` stands for the server at `target`. `seen` has every request."""

    target: str
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, str, Fault | None]] = field(default_factory=list)
    url: str = ""

    def count(self, method: str, path: str = "") -> int:
        """Number of requests seen."""
        return sum(m == method and bool(re.search(path, target)) for m, target, _ in self.seen)

    def faults(self) -> int:
        """Number of requests that were broken."""
        return sum(fault is not None for _, _, fault in self.seen)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handle one request; True where the connection may carry another."""
        head = await reader.readuntil(_END_OF_HEAD)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if _header(head, "expect"):
            # Answered here, so that the server is not asked before it is known what to break.
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(_header(head, "content-length") or 0))
        rule = next((rule for rule in self.rules if rule.applies(method, target)), None)
        fault = rule.fault if rule else None
        self.seen.append((method, target, fault))
        if fault is Fault.HANG:
            await reader.read()  # until the other side gives up
            return False
        if fault is Fault.RESET:
            return _reset(writer)
        if fault and isinstance(fault.value, tuple):
            writer.write(_refusal(method, *fault.value))
            await writer.drain()
            return True
        answer = await self._ask(head, _flip(body) if fault is Fault.FLIPPED_UPLOAD else body)
        return await _give_back(writer, answer, fault)

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """Ask the server on a connection of its own; an unreachable server resets."""
        place = urlsplit(self.target)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        dropped = (b"expect:", b"connection:")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(dropped)]
        lines.insert(1, b"Connection: close")
        writer.write(b"\r\n".join(lines) + body)
        answer = await reader.read(-1)
        writer.close()
        if not answer:
            raise ConnectionResetError
        return answer


async def _give_back(writer: asyncio.StreamWriter, answer: bytes, fault: Fault | None) -> bool:
    if fault is Fault.LOST:
        return _reset(writer)
    head, _, body = answer.partition(_END_OF_HEAD)
    if fault is Fault.TRUNCATED:
        body = body[: len(body) // 2]
    if fault is Fault.FLIPPED:
        body = _flip(body)
    writer.write(head + _END_OF_HEAD + body)
    await writer.drain()
    return False


def _header(head: bytes, name: str) -> str:
    found = re.search(rf"\r\n{name}:\s*([^\r]*)", head.decode("latin1"), re.IGNORECASE)
    return found[1] if found else ""


def _flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def _refusal(method: str, status: int, code: str) -> bytes:
    body = b"" if method == "HEAD" else _ERROR.format(code=code).encode()
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _reset(writer: asyncio.StreamWriter) -> bool:
    sock = writer.get_extra_info("socket")
    # With no time to linger, closing sends RST in place of FIN.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
