"""JSON records with one spelling only: equal records are equal bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def to_bytes(record: Any) -> bytes:
    """Write a record as UTF-8 JSON for people and machines: sorted keys, two spaces, one newline.

    Raises:
        ValueError: the record holds NaN or infinity, which are no JSON.
    """
    text = json.dumps(record, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def to_line(record: Any) -> bytes:
    """Write a record as UTF-8 JSON without any space, for members of shards."""
    separators = (",", ":")
    text = json.dumps(
        record, sort_keys=True, separators=separators, ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, without holding them."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
