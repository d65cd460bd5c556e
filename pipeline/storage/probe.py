"""Checks of a store before any work begins."""

from __future__ import annotations

import secrets
from contextlib import suppress

from pipeline.storage.store import Created, StorageError, Store

PROBES = "probe/"


def check_reachable(store: Store) -> None:
    """List a folder, so that wrong credentials, bucket or network show before anything is loaded.

    Raises:
        StorageError: the store does not answer or refuses to.
    """
    store.keys(PROBES)


def probe(store: Store) -> None:
    """Check that a store can be written and read, and guards names against a second writer.

    One that was opened for a single writer need not guard them.

    Raises:
        StorageError: the store refuses a request, returns wrong bytes or does not guard names.
    """
    key = f"{PROBES}{secrets.token_hex(8)}"
    first, second = b"first writer", b"second writer"
    store.create(key, first)
    answer = store.create(key, second)
    stored = store.read(key)
    part = store.read_range(key, 6, 6)
    # A writer need not have the right to delete; `gc` removes what it leaves.
    with suppress(StorageError):
        store.delete(key)
    guarded = answer is Created.OTHER and stored == first
    if not guarded and not store.single_writer:
        raise StorageError(
            f"{store.url} lets a second writer replace an object (it ignores If-None-Match), so "
            "two workers could spoil each other's shards; use another store, or say "
            "--single-writer and start only one writer"
        )
    if part != stored[6:12]:
        raise StorageError(f"{store.url} returns wrong bytes for a ranged read; use another store")
