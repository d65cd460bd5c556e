"""Datasets spoilt on purpose, by what an accident or an attacker would do to one shard."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.commit import describe_file
from pipeline.dataset.index import build_index
from pipeline.dataset.tar import ShardError, list_members

TAR = layout.shard_key(1)


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def flipped(data: bytes) -> bytes:
    """Return data with one bit in the middle flipped."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def members_of(data: bytes) -> list[tuple[str, bytes]]:
    """Return the names and contents of a tar's members, by Python's own reader."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(header.name, tar.extractfile(header).read()) for header in tar]  # type: ignore[union-attr]


def as_tar(members: list[tuple[str, bytes]], **header_fields: object) -> bytes:
    """Return a tar by Python's own writer, with these fields in every header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            for field, value in header_fields.items():
                setattr(header, field, value)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def png_bomb(side: int = 60_000, extra: tuple[bytes, bytes] | None = None) -> bytes:
    """Return a grey PNG of 3.6 thousand million pixels in a few hundred bytes.

    Args:
        side: of the picture, in pixels.
        extra: kind and content of one more chunk.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    middle = chunk(*extra) if extra else b""
    chunks = chunk(b"IHDR", header) + middle + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def spoil(root: Path, how: str, trace: Path) -> None:
    """Spoil shard 1 of a dataset; after an attack, manifest and commit record vouch for it.

    Args:
        how: "flipped" or "cut" by accident; "pickle", "traversal" or "bomb" by an attacker.
        trace: a folder that appears if anything in the shard is executed.
    """
    data = (root / TAR).read_bytes()
    if how in ("flipped", "cut"):
        (root / TAR).write_bytes(
            flipped(data) if how == "flipped" else data[: len(data) // 1024 * 512]
        )
        return
    members, evil = members_of(data), pickle.dumps(Bomb(trace))
    spoilt = {
        "pickle": lambda: [*members, ("000000016.pkl", evil)],
        "traversal": lambda: [("../../000000008.json", evil), *members],
        "bomb": lambda: [(n, png_bomb() if n.endswith("9.sketch.png") else c) for n, c in members],
    }[how]()
    vouch_for(root, as_tar(spoilt))


def vouch_for(root: Path, tar: bytes) -> None:
    """Put a tar in the place of shard 1, with index and hashes to match."""
    (root / TAR).write_bytes(tar)
    files = {"tar": asdict(describe_file(TAR, tar))}
    with suppress(ShardError):
        index, name = build_index(1, tar, list_members(tar)), layout.index_key(1)
        (root / name).write_bytes(index)
        files["index"] = asdict(describe_file(name, index))
    commit = json.loads((root / layout.commit_key(1)).read_text())
    (root / layout.commit_key(1)).write_bytes(canonical.to_bytes(commit | files))
    manifest = json.loads((root / layout.MANIFEST).read_text())
    manifest["counts"]["size"] += len(tar) - manifest["shards"][1]["tar"]["size"]
    manifest["shards"][1] |= files
    (root / layout.MANIFEST).write_bytes(canonical.to_bytes(manifest))
