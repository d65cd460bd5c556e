"""Shards: plain tar files in WebDataset's layout, a pure function of their samples.

The tar is the truth of a dataset: all that index and commit record say can be read back from it.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.dataset import layout
from pipeline.dataset.encode import EncodedPair

_BLOCK = tarfile.BLOCKSIZE
# Fields of a header, by their bytes.
_NAME, _SIZE, _MAGIC = slice(100), slice(124, 136), slice(257, 262)
_SIZE_TEXT = re.compile(rb"([0-7]{11})\0")


class ShardError(ValueError):
    """A file that is not a shard as this project writes them; the message says what is wrong."""


@dataclass(frozen=True)
class Member:
    """Where one member's content lies in its tar, in bytes."""

    index: int
    suffix: str
    offset: int
    size: int


def build_shard(pairs: Sequence[EncodedPair]) -> bytes:
    """Write pairs as a tar: by rising index, mtime 0, owner 0, mode 0644, USTAR.

    Raises:
        ValueError: the indices do not rise strictly.
    """
    indices = [pair.index for pair in pairs]
    if indices != sorted(set(indices)):
        raise ValueError(f"a shard's samples must come by rising index, once each; got {indices}")
    # Imported here: its package imports torch, which readers of shards do not need.
    from webdataset import TarWriter

    buffer = io.BytesIO()
    # No owners' names, no times, no permissions but the usual: equal samples are equal bytes.
    with TarWriter(buffer, user="", group="", mode=0o644, mtime=0, encoder=False) as writer:
        for pair in pairs:
            key = layout.sample_key(pair.index)
            for suffix, content in pair.members:
                # One call a member: within a call members are sorted, and the JSON comes last.
                writer.write({"__key__": key, suffix: content})
    return buffer.getvalue()


def list_members(data: bytes) -> list[Member]:
    """Read a tar's table of contents and refuse whatever this project would not have written.

    Headers are compared with those that `build_shard` writes, byte by byte: Python's own reader of
    tars follows extensions of the format that a hostile file can exploit.

    Raises:
        ShardError: a cut or broken tar, a member that is not a plain file or has another name, an
            incomplete sample, samples out of order.
    """
    members: list[Member] = []
    end = 0
    while _block(data, end).strip(b"\0"):
        member = _member(data, end)
        members.append(member)
        filled = member.offset + member.size
        end = filled + -member.size % _BLOCK
        if end > len(data) or any(data[filled:end]):
            raise ShardError("broken tar: it ends, or goes on, within a member")
    # A tar that is cut between two members lacks its end mark only.
    whole = len(data) % tarfile.RECORDSIZE == 0 and len(data) - end >= 2 * _BLOCK
    if not whole or data[end:].strip(b"\0"):
        raise ShardError("cut tar: the end mark is missing")
    _check_order(members)
    return members


def sample_indices(members: Sequence[Member]) -> list[int]:
    """Return the indices of the samples of a checked table of contents."""
    return [member.index for member in members[:: len(layout.SUFFIXES)]]


def _block(data: bytes, start: int) -> bytes:
    return data[start : start + _BLOCK]


def _member(data: bytes, start: int) -> Member:
    """Read the header of a member."""
    block = _block(data, start)
    if block[_MAGIC] != b"ustar":
        raise ShardError(f"broken tar: no header at byte {start}")
    name = block[_NAME].rstrip(b"\0").decode("ascii", "replace")
    address, size = layout.member_address(name), _SIZE_TEXT.fullmatch(block[_SIZE])
    if address is None:
        raise ShardError(f"member {name[:80]!r} does not belong in a dataset")
    if size is None or block != _header(name, int(size[1], 8)):
        raise ShardError(f"member {name!r} is not a plain file with the header that shards have")
    return Member(*address, offset=start + _BLOCK, size=int(size[1], 8))


def _header(name: str, size: int) -> bytes:
    # TarInfo's own defaults are mtime 0, owner 0 without names, mode 0644.
    header = tarfile.TarInfo(name)
    header.size = size
    return header.tobuf(tarfile.USTAR_FORMAT)


def _check_order(members: Sequence[Member]) -> None:
    width = len(layout.SUFFIXES)
    samples = [members[start : start + width] for start in range(0, len(members), width)]
    for sample in samples:
        suffixes = tuple(member.suffix for member in sample)
        if suffixes != layout.SUFFIXES or len({member.index for member in sample}) != 1:
            key = layout.sample_key(sample[0].index)
            raise ShardError(f"sample {key} has the members {suffixes}; expected {layout.SUFFIXES}")
    indices = [sample[0].index for sample in samples]
    if indices != sorted(set(indices)):
        raise ShardError("samples are not in rising order, once each")
