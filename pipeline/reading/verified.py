"""Files of a dataset, read whole and believed only if they are what the manifest says."""

from __future__ import annotations

from pipeline import canonical
from pipeline.dataset.commit import StoredFile
from pipeline.storage.store import Store


class RefusedError(ValueError):
    """A dataset, shard or pair is not what the manifest says; the message names it and why."""


def read_verified(store: Store, file: StoredFile) -> bytes:
    """Read a file whose size and SHA-256 are known.

    Raises:
        RefusedError: it is not the file that was asked for.
        StorageError: the store fails.
    """
    size_bytes = store.size(file.name)
    if size_bytes != file.size:
        raise RefusedError(
            f"{store.url}/{file.name}: expected {file.size} bytes, found {size_bytes}; fetch or "
            "generate it again"
        )
    data = store.read(file.name)
    if canonical.sha256(data) != file.sha256:
        raise RefusedError(
            f"{store.url}/{file.name}: its SHA-256 is not the manifest's, so that the file was "
            "damaged or changed; fetch or generate it again"
        )
    return data


def read_small_verified(store: Store, file: StoredFile) -> bytes:
    """Read a small file in one request where it is sound: there may be one for each shard.

    Raises:
        RefusedError: it is not the file that was asked for.
        StorageError: the store fails.
    """
    data = store.read_range(file.name, 0, file.size)
    if canonical.sha256(data) == file.sha256:
        return data
    # Damaged on the way, or another file: this tries again, and says which.
    return read_verified(store, file)
