"""A page of its own: one of this folder's templates, filled in and written as a single file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.runtime.provenance import versions
from pipeline.render import render
from pipeline.whole_file import write_bytes

TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page.

    Args:
        path: file to write.
        template: name of a file in templates/.
        values: what the template names, but for the `version` and `made_on` of its last line.

    Returns:
        The page's path.
    """
    version, made_on = versions()["onesketch"], datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC")
    write_bytes(path, render(TEMPLATES / template, version=version, made_on=made_on, **values))
    return path
