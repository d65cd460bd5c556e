"""A local folder under trouble: no final name without its whole content, and words that help."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.storage.local import LocalStore
from pipeline.storage.probe import probe
from pipeline.storage.store import Created, StorageError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "dataset")


@contextmanager
def small_files() -> Iterator[None]:
    # For a few lines only: the limit holds for the test runner's own output as well.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(store: LocalStore) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def test_no_space_leaves_nothing(store: LocalStore) -> None:
    no_space = pytest.raises(StorageError, match="no space left.*another dataset.out")
    with no_space, small_files():
        store.create("shards/00000.tar", bytes(10_000))
    assert files(store) == []


def test_content_and_folder_are_synced_before_success(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("fsync", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, real=real, name=name: (steps.append(name), real(*args))
        )
    store.create("shards/a", b"one")
    assert steps[-3:] == ["fsync", "link", "fsync"]


def test_unfinished_files_are_not_listed(store: LocalStore) -> None:
    store.create("shards/a", b"one")
    (store.root / "shards" / ".b.123-0123456789abcdef.tmp").write_bytes(b"half")
    assert store.keys("shards/") == ["shards/a"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="expected a folder, found a file"):
        probe(LocalStore(tmp_path / "file" / "dataset"))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_to(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    # Tests may run as root, whom permissions do not stop.
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="choose a dataset.out that you may write to"):
        store.create("shards/a", b"one")


def test_a_file_system_without_links(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="no hard links.*--single-writer"):
        store.create("shards/a", b"one")
    assert files(store) == []
    alone = LocalStore(store.root, single_writer=True)
    assert alone.create("shards/a", b"one") is Created.NEW
    assert alone.create("shards/a", b"two") is Created.OTHER
    assert files(store) == ["a"]
