"""Shards: plain tar files in WebDataset's layout, a pure function of their samples.

The tar is the truth of a dataset: all that index and commit record say can be read back from it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import layout
from pipeline.encoding import EncodedPair


class ShardError(ValueError):
    """A file that is no shard as this project writes them; the message says what is wrong."""


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
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for pair in pairs:
            for suffix, content in pair.members:
                # TarInfo's own defaults are mtime 0, owner 0 without names, mode 0644.
                header = tarfile.TarInfo(f"{layout.sample_key(pair.index)}.{suffix}")
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def list_members(data: bytes) -> list[Member]:
    """Read a tar's table of contents and refuse whatever this project would not have written.

    Raises:
        ShardError: a cut or broken tar, a member that is no plain file or has another name, an
            incomplete sample, samples out of order.
    """
    members: list[Member] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for header in tar:
                members.append(_member(header))
            end = tar.offset
    except tarfile.TarError as error:
        raise ShardError(f"broken tar: {error}") from error
    # A tar that is cut between two members reads without error: only its end mark is missing.
    padding = data[end:]
    whole = len(data) % tarfile.RECORDSIZE == 0 and len(padding) >= 2 * tarfile.BLOCKSIZE
    if not whole or any(padding):
        raise ShardError("cut tar: the end mark is missing")
    _check_order(members)
    return members


def sample_indices(members: Sequence[Member]) -> list[int]:
    """Indices of the samples of a checked table of contents."""
    return [member.index for member in members[:: len(layout.SUFFIXES)]]


def _member(header: tarfile.TarInfo) -> Member:
    address = layout.member_address(header.name)
    if address is None or not header.isreg():
        raise ShardError(f"a member {header.name[:80]!r} that is none of a dataset's")
    return Member(*address, offset=header.offset_data, size=header.size)


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
