"""A dataset in a local folder, with the crash safety of docs/design.md, "Publication"."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.storage.store import Created, Entry, MissingKeyError, StorageError

# A disk that is full, a quota that is used up and a file-size limit look alike to a person.
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST}
_TEMPORARY = re.compile(r"\..+\.[0-9]+-[0-9a-f]{16}\.tmp")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


@dataclass(frozen=True)
class LocalStore:
    """Objects as files under `root`, which is created on the first write.

    With `single_writer`, names are not guarded against a second writer: for file systems without
    hard links.
    """

    root: Path
    single_writer: bool = False

    @property
    def url(self) -> str:
        """The folder."""
        return str(self.root)

    def create(self, key: str, data: bytes) -> Created:
        """Create a file that is complete and synced or absent, even after a power failure."""
        final = self.root / key
        with self._explained("write", key):
            _make_folder(final.parent)
            temporary = _write_temporary(final, data)
            try:
                taken = not self._move(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(final.parent)
        if taken:
            return Created.EQUAL if self.read(key) == data else Created.OTHER
        return Created.NEW

    def read(self, key: str) -> bytes:
        """Return a whole file."""
        with self._explained("read", key):
            return (self.root / key).read_bytes()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from byte `start` on."""
        with self._explained("read", key), (self.root / key).open("rb") as file:
            file.seek(start)
            data = file.read(length)
        if len(data) != length:
            raise StorageError(
                f"{self.url}/{key} ends early: expected {length} bytes from byte {start} on, "
                f"got {len(data)}"
            )
        return data

    def keys(self, prefix: str) -> list[str]:
        """Return the names of all files in a folder and below it, except unfinished ones."""
        return [key for key in self._walk(prefix) if not _is_temporary(key)]

    def entries(self, prefix: str) -> list[Entry]:
        """Return the entries of what `keys` lists."""
        return self._describe(self.keys(prefix))

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below another one."""
        with self._explained("list", prefix), suppress(FileNotFoundError):
            inner = [entry.name for entry in os.scandir(self.root / prefix) if entry.is_dir()]
            return [f"{prefix}{name}/" for name in sorted(inner)]
        return []

    def leftovers(self) -> list[Entry]:
        """Return temporary files, of dead writers and of live ones."""
        return self._describe(key for key in self._walk("") if _is_temporary(key))

    def exists(self, key: str) -> bool:
        """Tell whether a file is there."""
        with self._explained("read", key):
            return (self.root / key).is_file()

    def size(self, key: str) -> int:
        """Return a file's size in bytes."""
        with self._explained("read", key):
            return (self.root / key).stat().st_size

    def delete(self, key: str) -> None:
        """Remove a file."""
        with self._explained("delete", key):
            (self.root / key).unlink(missing_ok=True)

    def _walk(self, prefix: str) -> list[str]:
        folder = self.root / prefix
        with self._explained("list", prefix):
            return sorted(
                (Path(parent) / name).relative_to(self.root).as_posix()
                for parent, _, names in os.walk(folder, onerror=_raise_unless_missing)
                for name in names
            )

    def _describe(self, keys: Iterable[str]) -> list[Entry]:
        found = []
        for key in keys:
            with suppress(MissingKeyError), self._explained("look for", key):
                stat = (self.root / key).stat()
                found.append(Entry(key, stat.st_size, stat.st_mtime))
        return found

    def _move(self, temporary: Path, final: Path) -> bool:
        """Give the finished file its name; return False if the name is taken."""
        if self.single_writer:
            if final.exists():
                return False
            temporary.rename(final)
            return True
        try:
            # rename() would overwrite silently; link() refuses a name that is taken.
            os.link(temporary, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise StorageError(
                f"{self.url}: this file system has no hard links ({error.strerror}), which guard "
                "names against a second writer; use another folder, or say --single-writer and "
                "start only one writer"
            ) from error
        return True

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise MissingKeyError(f"{self.url} has no {key or 'such folder'}") from error
        except OSError as error:
            raise StorageError(f"cannot {action} {self.root / key}: {_advice(error)}") from error


def _make_folder(folder: Path) -> None:
    # A new folder's own entry must be durable too, hence the sync of each new one's parent.
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _write_temporary(final: Path, data: bytes) -> Path:
    temporary = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.fdopen(os.open(temporary, flags, 0o666), "wb", buffering=0)
    try:
        with file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _is_temporary(key: str) -> bool:
    # Other names with a leading dot are people's: .gitattributes, .env.
    return _TEMPORARY.fullmatch(key.rpartition("/")[2]) is not None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _advice(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return f"no space left ({error.strerror}); free some, or choose another dataset.out"
    if error.errno in _NO_RIGHT:
        return f"{error.strerror}; choose a dataset.out that you may write to"
    if error.errno in _NO_FOLDER:
        return "expected a folder, found a file; give another place, such as another dataset.out"
    return str(error.strerror or error)
