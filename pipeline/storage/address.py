"""Opening the store at an address."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError, Store

# An @ before the first slash would end a user's name and key.
_S3 = re.compile(r"s3://(?P<bucket>[^/?#@]*)(?:/(?P<prefix>[^?#]*))?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def is_address(place: str) -> bool:
    """Tell whether a place is in an object store; also with one slash: nobody means a folder."""
    return place.startswith("s3:")


def open_store(url: str, single_writer: bool = False) -> Store:
    """Return the store at a folder's path or at s3://bucket/prefix, without touching it yet.

    Args:
        single_writer: vouch that only one writer is at work, for stores that cannot guard names.

    Raises:
        StorageError: the address is neither.
    """
    if not url:
        raise StorageError("the address is empty; expected a folder or s3://bucket/prefix")
    if is_address(url):
        return _open_s3(url, single_writer)
    if "://" in url:
        scheme = url.split("://", 1)[0]
        if scheme.lower() == "s3":
            raise StorageError(f"an address begins with s3:// in small letters, got {scheme}://")
        raise StorageError(
            f"unknown kind of address {scheme}://; use a folder or s3://bucket/prefix"
        )
    # Absolute, because workers have other working directories.
    return LocalStore(Path(url).absolute(), single_writer)


def _open_s3(url: str, single_writer: bool) -> Store:
    from pipeline.storage.s3 import S3Store  # boto3 is for those alone who have an address

    match = _S3.fullmatch(url)
    if match is None:
        # The address is not shown: somebody may have put a secret into it.
        raise StorageError(
            "an s3 address must read s3://bucket/prefix, without user, key or query; credentials "
            "belong in boto3's standard configuration (AWS_PROFILE, ~/.aws)"
        )
    if not _BUCKET.fullmatch(match["bucket"]):
        raise StorageError(
            f"no bucket can be named {match['bucket']!r}: expected 3 to 63 small letters, digits, "
            "dots and hyphens, as in s3://bucket/prefix"
        )
    return S3Store(match["bucket"], (match["prefix"] or "").strip("/"), single_writer)
