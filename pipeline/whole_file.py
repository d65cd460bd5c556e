"""Files and folders that appear whole, with the permissions that the umask gives.

A file is written under a temporary name in the same folder, synced, and renamed to its final name:
a process killed in between leaves the old file in place.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Only for their types: processes without arrays or models write files too.
    from numpy.typing import NDArray
    from torch import Tensor

# The longest name that file systems take; what is added to it must fit as well.
_MAX_NAME_BYTES = 255


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary file to write instead of `path`; it becomes `path` when the block succeeds.

    Raises:
        OSError: the file cannot be written; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    # Made here, so that the system applies the umask: writers that make their own choose otherwise.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    mode = temporary.stat().st_mode & 0o777
    try:
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # A write that fails knows no name.
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes `path` when the block succeeds.

    Raises:
        OSError: the folder cannot be made, or `path` is a file or a folder that is not empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file of bytes; OSError leaves the one that was there."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8; OSError leaves the one that was there."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object, sort_keys: bool = False) -> None:
    """Write a value as indented JSON with a newline at its end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=sort_keys) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], compressed: bool = False) -> None:
    """Write NumPy arrays as .npz, without pickles."""
    import numpy as np

    save = np.savez_compressed if compressed else np.savez
    buffer = io.BytesIO()
    save(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors of any device and layout as safetensors, with texts beside them.

    Equal tensors and texts become equal bytes.
    """
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not by the library's own writing to disk, which tells no full disk from a broken tensor.
    write_bytes(path, _sorted_metadata(save(contiguous, dict(metadata) if metadata else None)))


def _sorted_metadata(data: bytes) -> bytes:
    """Give a safetensors file's texts an order: the library's own changes from call to call."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if "__metadata__" not in header:
        return data
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > size:  # it would reach into the tensors
        return data
    return data[:8] + text.ljust(size) + data[8 + size :]


def _temporary(path: Path) -> Path:
    # Not the whole of a long name: with an ending it would be too long for the file system.
    ending = f".{secrets.token_hex(8)}.part"
    room = _MAX_NAME_BYTES - len(ending) - 1
    shown = path.name.encode()[:room].decode(errors="ignore")
    return path.with_name(f".{shown}{ending}")
