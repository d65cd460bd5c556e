"""Files that are read whole: sound ones, and others by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dataset.commit import StoredFile, describe_file
from pipeline.reading.verified import RefusedError, read_small_verified, read_verified
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store

Read = Callable[[Store, StoredFile], bytes]


@pytest.mark.parametrize("read", [read_verified, read_small_verified])
def test_only_the_file_that_was_asked_for_is_believed(tmp_path: Path, read: Read) -> None:
    store, file = LocalStore(tmp_path), describe_file("a.parquet", b"12345")
    store.create("a.parquet", b"12345")
    assert read(store, file) == b"12345"
    (tmp_path / "a.parquet").write_bytes(b"12346")
    with pytest.raises(RefusedError, match=r"a\.parquet: its SHA-256 is not the manifest's"):
        read(store, file)
    # Never more than the manifest allows, however long the file is.
    (tmp_path / "a.parquet").write_bytes(b"12346" * 1000)
    with pytest.raises(RefusedError, match="expected 5 bytes, found 5000"):
        read(store, file)


@pytest.mark.parametrize(("read"), [read_verified, read_small_verified])
def test_a_file_that_was_cut_is_named(tmp_path: Path, read: Read) -> None:
    (tmp_path / "a.parquet").write_bytes(b"123")
    with pytest.raises(ValueError, match=r"a\.parquet.* expected 5 bytes"):
        read(LocalStore(tmp_path), describe_file("a.parquet", b"12345"))
