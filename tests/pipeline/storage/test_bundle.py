"""Bundles are whole or not there, and nothing that is whole is replaced unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.storage.bundle import FILES, publish_bundle, read_bundle, remove_bundle
from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_bytes(b"abc")
    (made / "sub/b").write_bytes(b"")
    (made / ".hidden").write_bytes(b"scratch")
    return made


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_a_bundle_names_its_files(store: LocalStore, folder: Path) -> None:
    assert read_bundle(store, "teacher") is None
    bundle = publish_bundle(store, "teacher", folder)
    assert read_bundle(store, "teacher") == bundle
    assert [(file.name, file.size) for file in bundle.files] == [("a", 3), ("sub/b", 0)]
    assert publish_bundle(store, "teacher", folder) == bundle


def test_another_bundle_is_refused_unless_it_may_be_replaced(
    store: LocalStore, folder: Path
) -> None:
    publish_bundle(store, "teacher", folder)
    (folder / "a").write_bytes(b"other")
    (folder / "sub/b").unlink()
    with pytest.raises(StorageError, match="holds something else already \\(a, sub/b differ\\)"):
        publish_bundle(store, "teacher", folder)
    assert store.read("teacher/a") == b"abc"
    publish_bundle(store, "teacher", folder, replace=True)
    assert store.read("teacher/a") == b"other"
    assert not store.exists("teacher/sub/b")


def test_what_a_dead_writer_left_is_replaced(store: LocalStore, folder: Path) -> None:
    store.create("teacher/a", b"half")
    publish_bundle(store, "teacher", folder)
    assert store.read("teacher/a") == b"abc"
    remove_bundle(store, "teacher")
    assert store.keys("teacher/") == []


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense",
        b'{"format": "other/1", "files": {}}',
        b'{"format": "onesketch-bundle/1", "files": {"../a": {"size": 1, "sha256": ""}}}',
        b'{"format": "onesketch-bundle/1", "files": {"/a": {"size": 1, "sha256": ""}}}',
    ],
)
def test_what_does_not_describe_a_bundle_is_refused(store: LocalStore, text: bytes) -> None:
    store.create(f"teacher/{FILES}", text)
    with pytest.raises(StorageError, match="does not describe a bundle"):
        read_bundle(store, "teacher")
