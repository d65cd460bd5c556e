"""Trials of a store before any work."""

from __future__ import annotations

import secrets

from pipeline.storage.store import Created, StorageError, Store

PROBES = "probe/"


def check_reachable(store: Store) -> None:
    """Ask for a list: wrong credentials, bucket or network show before anything is loaded.

    Raises:
        StorageError: the store does not answer, or refuses to.
    """
    store.keys(PROBES)


def probe(store: Store, single_writer: bool = False) -> None:
    """Write, write again, read, read a part, and clean up: does the store guard names?

    Raises:
        StorageError: the store refuses one of these, or does not guard names (unless
            `single_writer`).
    """
    key = f"{PROBES}{secrets.token_hex(8)}"
    first, second = b"first writer", b"second writer"
    store.create(key, first)
    answer = store.create(key, second)
    held = store.read(key)
    part = store.read_range(key, 6, 6)
    store.delete(key)
    guarded = answer is Created.OTHER and held == first
    if not guarded and not single_writer:
        raise StorageError(
            f"{store.url} lets a second writer replace an object (it ignores If-None-Match), so "
            "two workers could spoil each other's shards; use another store, or say "
            "--single-writer and start one writer only"
        )
    if part != held[6:12]:
        raise StorageError(f"{store.url} gives wrong bytes for a ranged read; use another store")
