"""Where words of the old dialect still stand; which they are says `dialect`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.tools.dialect import WORDS, Word
from tests.tools.source import LAYERS, ROOT

# What people read and write, not what programs leave.
FOLDERS = (*LAYERS, "tests", "docs", "infra", "README.md")
ENDINGS = (".py", ".md", ".j2", ".yaml")
# The list itself, its tools and their test have to name the words.
HERE = ("tests/tools/", "tests/contracts/test_words.py")


@dataclass(frozen=True)
class Finding:
    """A place where a word stands that it may not: path, line from 1, and the line's text."""

    word: Word
    path: str
    number: int
    text: str

    def __str__(self) -> str:
        """Say where it is and what to write."""
        return f"{self.path}:{self.number}: {self.word.name} -> {self.word.plain}: {self.text[:80]}"


def find_words(root: Path = ROOT, folders: Iterable[str] = FOLDERS) -> Iterator[Finding]:
    """Find the words of the dialect below some folders of a root, line by line.

    Args:
        folders: folders or files, relative to the root; what is missing is left out.
    """
    for path in _files(root, folders):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        # Most files hold no word at all, which one look at the whole tells.
        words = [w for w in WORDS if w.concerns(name) and re.search(w.pattern, text, re.MULTILINE)]
        for number, line in enumerate(text.splitlines(), start=1):
            for word in words:
                if re.search(word.pattern, line):
                    yield Finding(word, name, number, line.strip())


def _files(root: Path, folders: Iterable[str]) -> list[Path]:
    found = [path for name in folders for path in (root / name, *(root / name).rglob("*"))]
    return sorted(
        path
        for path in found
        if path.is_file()
        and path.suffix in ENDINGS
        and not path.relative_to(root).as_posix().startswith(HERE)
    )
