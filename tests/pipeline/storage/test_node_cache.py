"""A node's cache: fetched once, checked, bounded, and careful with what is not its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.storage.bundle import publish_bundle
from pipeline.storage.local import LocalStore
from pipeline.storage.node_cache import NodeCache
from pipeline.storage.store import MissingKeyError, StorageError

FETCH = """
import sys, time
from pathlib import Path
from pipeline.storage.local import LocalStore
from pipeline.storage.node_cache import NodeCache
NodeCache(Path(sys.argv[1])).fetch(LocalStore(Path(sys.argv[2])), sys.argv[3])
print("fetched", flush=True)
sys.stdin.read()
"""


class CountingStore(LocalStore):
    """Counts ranged reads, which is how files are fetched."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        (self.root.parent / "reads").open("a").write(f"{key}\n")
        return super().read_range(key, start, length)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStore(tmp_path / "store")
    for number in range(3):
        folder = tmp_path / f"made-{number}"
        folder.mkdir()
        (folder / "weights").write_bytes(bytes([number]) * 100)
        publish_bundle(store, f"bundle-{number}", folder)
    return store


def reads(tmp_path: Path) -> int:
    path = tmp_path / "reads"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_bundle_is_fetched_once(store: CountingStore, tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache")
    first = cache.fetch(store, "bundle-1")
    assert (first / "weights").read_bytes() == bytes([1]) * 100
    assert cache.fetch(store, "bundle-1") == first and reads(tmp_path) == 1
    (first / "weights").write_bytes(b"cut")
    assert (cache.fetch(store, "bundle-1") / "weights").stat().st_size == 100


def test_a_damaged_object_is_refused(store: CountingStore, tmp_path: Path) -> None:
    (store.root / "bundle-0/weights").write_bytes(b"x" * 100)
    with pytest.raises(StorageError, match="its SHA-256 differs"):
        NodeCache(tmp_path / "cache").fetch(store, "bundle-0")
    with pytest.raises(MissingKeyError):
        NodeCache(tmp_path / "cache").fetch(store, "nothing")


def test_files_of_other_programs_are_fetched_too(store: CountingStore, tmp_path: Path) -> None:
    store.create("unet/config.json", b"{}")
    folder = NodeCache(tmp_path / "cache").fetch(store, "unet")
    assert (folder / "config.json").read_bytes() == b"{}"
    one = NodeCache(tmp_path / "cache").fetch(store, "bundle-0", only="weights")
    assert [path.name for path in one.iterdir()] == ["weights"]


def test_entries_in_use_elsewhere_and_other_files_stay(
    store: CountingStore, tmp_path: Path
) -> None:
    """Another process uses bundle 0, one that has ended used bundle 1; there is room for one."""
    root = tmp_path / "cache"
    holding = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH, str(root), str(store.root), f"bundle-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in (0, 1)
    ]
    for process in holding:
        assert process.stdout is not None and process.stdout.readline() == b"fetched\n"
    holding[1].communicate()
    (root / "folders/mine.txt").write_text("a person's")
    entries = {path.name for path in (root / "folders").iterdir() if path.is_dir()}
    third = NodeCache(root, 150).fetch(store, "bundle-2")
    left = {path.name for path in (root / "folders").iterdir() if path.is_dir()}
    assert third.name in left and len(left & entries) == 1 and len(left) == 2
    kept = root / "folders" / (left & entries).pop() / "weights"
    assert kept.read_bytes() == bytes(100)
    assert (root / "folders/mine.txt").is_file()
    holding[0].communicate()


def test_folders_of_dead_processes_go(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path)
    dead, other = tmp_path / "work" / f"1-{'0' * 16}", tmp_path / "work" / "somebody's"
    dead.mkdir(parents=True)
    other.mkdir()
    with cache.work_folder() as first, cache.work_folder() as second:
        assert first != second and first.is_dir() and second.is_dir()
        assert not dead.exists() and other.is_dir()
    assert not first.exists() and not second.exists()


def test_what_is_no_address_stays_as_it_is(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path)
    for location in ("/a/folder", "owner/model", "ViT-B-32:laion", "embedded"):
        assert cache.local_path(location) == location


def test_a_cache_that_cannot_be_written_is_named(store: CountingStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="the node's cache .*file.* give --cache"):
        NodeCache(tmp_path / "file" / "cache").fetch(store, "bundle-0")
