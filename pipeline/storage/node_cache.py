"""A node's cache of what processes must have on disk: weights, taught teachers, extractors.

Each entry is a folder named by the SHA-256 of what it holds. All processes of a node share the
cache: an entry is fetched once, under a lock, while the others wait. Beyond the limit the entries
that were opened longest ago are removed, except those that a living process uses. Only names of
this pattern are ever touched: the folder may hold other people's files.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import canonical
from pipeline.storage.address import is_address, open_store
from pipeline.storage.bundle import FILES, BundleFile, key_in, read_bundle
from pipeline.storage.local import NO_SPACE
from pipeline.storage.store import MissingKeyError, StorageError, Store
from pipeline.whole_file import whole_folder

FOLDER_VARIABLE = "ONESKETCH_CACHE"
_ENTRY = _HASH = re.compile(r"[0-9a-f]{64}")
# Of s3://bucket, the shortest address.
_LEAST_SLASHES = 2
_WORK = re.compile(r"[0-9]+-[0-9a-f]{16}")
_CHUNK_BYTES = 64 * 2**20
_DOWNLOADS = 4
# Locks that tell other processes which entries this one uses; they end with it.
_in_use: dict[Path, int] = {}
_one_at_a_time = threading.Lock()


def default_folder() -> Path:
    """Return the cache's folder where none is named: ONESKETCH_CACHE, or the user's cache."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onesketch"


@dataclass(frozen=True)
class NodeCache:
    """The cache of this node.

    Attributes:
        folder: None: `default_folder`, of each node.
        limit_bytes: the most that fetched folders may take; None: no limit.
    """

    folder: Path | None = None
    limit_bytes: int | None = None

    @property
    def root(self) -> Path:
        """The folder in which all lies."""
        return self.folder or default_folder()

    @property
    def shards(self) -> Path:
        """Where the reader keeps shards."""
        return self.root / "shards"

    def local_path(self, location: str) -> str:
        """Return a location as something on this disk.

        What is at an address (s3://bucket/prefix: a folder, a bundle or one object) is fetched,
        in NAME:ADDRESS too; everything else is returned as it is.

        Raises:
            StorageError: there is nothing at the address, or it cannot be fetched.
        """
        name, colon, address = location.partition(":")
        if colon and is_address(address):
            return f"{name}:{self.local_path(address)}"
        if not is_address(location):
            return location
        try:
            return str(self.fetch(open_store(location)))
        except MissingKeyError:
            parent, _, name = location.rpartition("/")
            if parent.count("/") < _LEAST_SLASHES:
                raise
            # One object: it is fetched without its neighbours.
            return str(self.fetch(open_store(parent), only=name) / name)

    def fetch(self, store: Store, prefix: str = "", only: str | None = None) -> Path:
        """Return a folder with all that a store holds under a prefix, to be read only.

        Args:
            only: fetch this object alone.

        Raises:
            MissingKeyError: there is nothing.
            StorageError: the store or the disk fails.
        """
        files = _listed(store, prefix, only)
        listing = [[file.name, file.size, file.sha256] for file in files]
        entry = self.root / "folders" / canonical.sha256(canonical.to_bytes(listing))
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time, _lock(entry, fcntl.LOCK_EX):
                if entry not in _in_use:
                    # Until this process ends nobody removes the entry to make room.
                    _in_use[entry] = _open_lock(_use(entry))
                    fcntl.flock(_in_use[entry], fcntl.LOCK_SH)
                if not _is_whole(entry, files):
                    shutil.rmtree(entry, ignore_errors=True)
                    self._make_room(sum(file.size for file in files))
                    with whole_folder(entry) as partial:
                        _download(store, prefix, files, partial)
                os.utime(entry)
        except OSError as error:
            raise StorageError(self._explained(error)) from error
        return entry

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """Give an empty folder to work in, which goes when the block ends.

        Those that killed processes left behind go too.

        Raises:
            StorageError: the disk fails.
        """
        place = self.root / "work"
        folder = place / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            for old in place.iterdir():
                if _WORK.fullmatch(old.name):
                    with _unused(old) as unused:
                        if unused:
                            shutil.rmtree(old, ignore_errors=True)
                            _remove_locks(old)
            lock = _open_lock(_use(folder))
            fcntl.flock(lock, fcntl.LOCK_SH)
            folder.mkdir()
        except OSError as error:
            raise StorageError(self._explained(error)) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _remove_locks(folder)
            os.close(lock)

    def _make_room(self, size_bytes: int) -> None:
        """Remove the entries opened longest ago until there is room for one more."""
        if self.limit_bytes is None:
            return
        entries = [
            entry for entry in (self.root / "folders").iterdir() if _ENTRY.fullmatch(entry.name)
        ]
        entries.sort(key=lambda entry: entry.stat().st_mtime)
        total_bytes = size_bytes + sum(map(_size_bytes, entries))
        for entry in entries:
            if total_bytes <= self.limit_bytes:
                return
            with _unused(entry) as unused:
                if unused:
                    total_bytes -= _size_bytes(entry)
                    shutil.rmtree(entry)

    def _explained(self, error: OSError) -> str:
        if error.errno in NO_SPACE:
            return (
                f"the node's cache {self.root} has no space left ({error.strerror}): free some, "
                "give --cache another folder, or bound it with --cache-gib"
            )
        return (
            f"the node's cache {self.root} cannot be used ({error.strerror or error}): give "
            f"--cache, or {FOLDER_VARIABLE} on that node, a folder that may be written to"
        )


def _listed(store: Store, prefix: str, only: str | None) -> Sequence[BundleFile]:
    """List what is to be fetched; hashes are known of bundles only."""
    if only is not None:
        return (BundleFile(only, store.size(key_in(prefix, only)), ""),)
    bundle = read_bundle(store, prefix)
    if bundle is not None:
        return bundle.files
    start = key_in(prefix, "")
    found = [
        # Another program wrote it: size and time stand for what it holds.
        BundleFile(entry.key.removeprefix(start), entry.size, f"at {entry.created_s:.3f}")
        for entry in store.entries(start)
        if not entry.key.endswith("/")
    ]
    if not found:
        raise MissingKeyError(f"there is nothing at {store.url}/{prefix}".rstrip("/"))
    return found


def _is_whole(entry: Path, files: Sequence[BundleFile]) -> bool:
    """Tell whether an entry has all its files at their sizes."""
    with suppress(OSError):
        return all((entry / file.name).stat().st_size == file.size for file in files)
    return False


def _download(store: Store, prefix: str, files: Sequence[BundleFile], folder: Path) -> None:
    """Fetch files in pieces, several at a time, and check the hashes that are known."""
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        for file in files:
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            key = key_in(prefix, file.name)
            with path.open("wb") as target:
                descriptor = target.fileno()

                def fetch(
                    start: int, key: str = key, size: int = file.size, descriptor: int = descriptor
                ) -> None:
                    data = store.read_range(key, start, min(_CHUNK_BYTES, size - start))
                    _write_at(descriptor, data, start)

                list(pool.map(fetch, range(0, file.size, _CHUNK_BYTES)))
            if _HASH.fullmatch(file.sha256) and canonical.sha256_of_file(path) != file.sha256:
                raise StorageError(
                    f"{store.url}/{key} is not the file that {FILES} describes: its SHA-256 "
                    "differs; it was damaged or changed, so make it again"
                )


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _unused(entry: Path) -> Iterator[bool]:
    """Keep other processes from an entry; False where one uses or fetches it, this one included."""
    try:
        with (
            _lock(entry, fcntl.LOCK_EX | fcntl.LOCK_NB),
            _lock(_use(entry), fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            yield True
            return
    except BlockingIOError:
        pass
    yield False


@contextmanager
def _lock(path: Path, how: int) -> Iterator[None]:
    """Hold the lock beside a path; with LOCK_NB, BlockingIOError where somebody else has it."""
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _use(entry: Path) -> Path:
    """Return what the users of an entry lock together; its own lock is for who fetches it."""
    return entry.with_name(f"{entry.name}.use")


def _lock_path(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.lock")


def _remove_locks(entry: Path) -> None:
    for path in (entry, _use(entry)):
        _lock_path(path).unlink(missing_ok=True)


def _open_lock(entry: Path) -> int:
    return os.open(_lock_path(entry), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
