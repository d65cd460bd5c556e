"""Canonical JSON: equal records become equal bytes."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any


def to_bytes(record: Any) -> bytes:
    """Return a record as UTF-8 JSON for people and machines: sorted keys, two spaces, one newline.

    Raises:
        ValueError: the record holds NaN or infinity, which JSON does not have.
    """
    encoder = json.JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    # Piece by piece: a list of all pieces of a large manifest takes ten times its text.
    buffer = io.BytesIO()
    for piece in encoder.iterencode(record):
        buffer.write(piece.encode())
    buffer.write(b"\n")
    return buffer.getvalue()


def to_line(record: Any) -> bytes:
    """Return a record as UTF-8 JSON without any whitespace, for members of shards.

    Raises:
        ValueError: the record holds NaN or infinity, which JSON does not have.
    """
    separators = (",", ":")
    text = json.dumps(
        record, sort_keys=True, separators=separators, ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, without loading the file whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
