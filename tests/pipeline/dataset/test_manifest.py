"""Manifests that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.manifest import ManifestError, read_manifest
from pipeline.storage.local import LocalStore
from tests.standins.published_blobs import write_dataset


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = LocalStore(Path(write_dataset(tmp_path / "dataset")))
    assert read_manifest(store).to_bytes() == store.read(layout.MANIFEST)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "has no manifest.json"),
        (b"{", r"another format \(Invalid JSON: "),
        (b"{}", r"broken or of another format \(style: "),
    ],
)
def test_missing_broken_and_other_manifests_are_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    store = LocalStore(tmp_path)
    if content is not None:
        store.create(layout.MANIFEST, content)
    with pytest.raises(ManifestError, match=words):
        read_manifest(store)
