"""A bundle: files that belong together in a store, such as a taught teacher or an extractor.

The files come first, `files.json`, which names each with its size and SHA-256, comes last: a bundle
that has it is whole. Reading goes through a node's cache (`pipeline.storage.node_cache`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import canonical
from pipeline.storage.store import Created, MissingKeyError, StorageError, Store

FILES = "files.json"
FORMAT = "onesketch-bundle/1"
_UPLOADS = 4


@dataclass(frozen=True)
class BundleFile:
    """A file of a bundle: its name below the bundle's prefix, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """The files of a whole bundle."""

    files: tuple[BundleFile, ...]

    @property
    def sha256(self) -> str:
        """Hash of all that the bundle holds: equal bundles have equal hashes."""
        return canonical.sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the text of files.json."""
        files = {file.name: {"size": file.size, "sha256": file.sha256} for file in self.files}
        return canonical.to_bytes({"format": FORMAT, "files": files})


def publish_bundle(store: Store, prefix: str, folder: Path, replace: bool = False) -> Bundle:
    """Put every file below a folder into a store as one bundle.

    Files that a dead writer left under the prefix without files.json are replaced.

    Args:
        prefix: of the bundle's keys, without a slash at its end; empty: the store's own root.
        replace: take a whole bundle that is there away first: for pages that are made anew.

    Raises:
        StorageError: the store fails, or holds another bundle there.
    """
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    bundle = Bundle(tuple(_describe(folder, name) for name in names if not _is_hidden(name)))
    there = read_bundle(store, prefix)
    if there == bundle:
        return bundle
    if there is not None and not replace:
        raise StorageError(
            f"{store.url}/{prefix} holds something else already ({_difference(there, bundle)}): "
            "use another run, or remove what is there to make it anew"
        )
    if there is not None:
        remove_bundle(store, prefix)

    def upload(file: BundleFile) -> None:
        key, data = key_in(prefix, file.name), (folder / file.name).read_bytes()
        if store.create(key, data) is Created.OTHER:
            store.delete(key)
            store.create(key, data)

    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(upload, bundle.files))
    if store.create(key_in(prefix, FILES), bundle.to_bytes()) is Created.OTHER:
        raise StorageError(
            f"{store.url}/{prefix} was written by somebody else at the same time: start the same "
            "command again to see what is there now"
        )
    return bundle


def read_bundle(store: Store, prefix: str) -> Bundle | None:
    """Return the files of a whole bundle; None where there is none.

    Raises:
        StorageError: the store fails, or files.json is not one of ours.
    """
    key = key_in(prefix, FILES)
    try:
        data: Any = json.loads(store.read(key))
        if data["format"] != FORMAT:
            raise ValueError("another format")
        files = [
            BundleFile(_safe(name), int(file["size"]), str(file["sha256"]))
            for name, file in sorted(data["files"].items())
        ]
    except MissingKeyError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{store.url}/{key} does not describe a bundle of the format {FORMAT}: use the "
            "version of onesketch that wrote it"
        ) from error
    return Bundle(tuple(files))


def remove_bundle(store: Store, prefix: str) -> None:
    """Remove a bundle, files.json first, so that it is never half there."""
    store.delete(key_in(prefix, FILES))
    for key in store.keys(key_in(prefix, "")):
        store.delete(key)


def key_in(prefix: str, name: str) -> str:
    """Return the key of a name under a prefix, which may be empty."""
    return f"{prefix}/{name}" if prefix else name


def _describe(folder: Path, name: str) -> BundleFile:
    path = folder / name
    return BundleFile(name, path.stat().st_size, canonical.sha256_of_file(path))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/")) or name == FILES


def _safe(name: str) -> str:
    # Names become paths on a disk: none may lead out of the bundle's folder.
    if not name or name.startswith("/") or any(p in ("", ".", "..") for p in name.split("/")):
        raise ValueError(f"unsafe name {name!r}")
    return name


def _difference(there: Bundle, asked: Bundle) -> str:
    hashes = {file.name: file.sha256 for file in there.files}
    asked_hashes = {file.name: file.sha256 for file in asked.files}
    names = sorted(hashes.keys() | asked_hashes.keys())
    return f"{_listed(n for n in names if hashes.get(n) != asked_hashes.get(n))} differ"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
