"""Where the weights of models lie: a folder, NAME:FILE, or a name that the loaders know."""

from __future__ import annotations

from pathlib import Path


def absolute_location(location: str) -> str:
    """Make the location of weights good for any working directory.

    Args:
        location: a folder, NAME:FILE, or a name; names stay as they are, and so does NAME:TAG.
    """
    if Path(location).is_dir():
        return str(Path(location).absolute())
    name, colon, file = location.partition(":")
    return f"{name}:{Path(file).absolute()}" if colon and Path(file).is_file() else location
