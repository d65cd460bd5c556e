"""Files that a command leaves: whole under their final name, or not there at all."""

import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

# mkstemp gives 0600; a person's results should be as readable as any file of theirs.
FILE_MODE = 0o644


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file by new bytes in one step; OSError leaves the old one as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, FILE_MODE)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def png_bytes(picture: np.ndarray) -> bytes:
    """Encode uint8 (H, W) or (H, W, 3) as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (H, W) or (H, W, 3) as a PNG file, whole."""
    write_whole(path, png_bytes(picture))


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())
