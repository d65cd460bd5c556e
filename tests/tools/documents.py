"""Documents and docstrings as data: passages of the code, headings and tables of the pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.tools.source import LAYERS, ROOT

DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Passage:
    """A docstring, or comments that follow each other, with single spaces between the words.

    Attributes:
        path: of its module, relative to the root.
        line: the first one.
        about: the docstring of its module.
    """

    path: str
    line: int
    text: str
    about: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text[:160]}"


@cache
def passages() -> list[Passage]:
    """Return all docstrings and comments of the code."""
    paths = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
    return [passage for path in paths for passage in _passages_of(path)]


def _passages_of(path: Path) -> Iterator[Passage]:
    source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    tree = ast.parse(source)
    about = " ".join((ast.get_docstring(tree) or "").split())
    for line, text in (*_docstrings(tree), *_comments(source)):
        yield Passage(name, line, " ".join(text.split()), about)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments with their lines; those of neighbouring lines are one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    for first in (line for line in lines if line - 1 not in lines):
        last = first
        while last + 1 in lines:
            last += 1
        yield first, " ".join(lines[line] for line in range(first, last + 1))


@cache
def sources() -> set[str]:
    """Return the names that docs/papers.md says sources are cited by."""
    cells = first_cells(DOCS / "papers.md")
    return {name.strip() for cell in cells for name in cell.split(";")}


def prose(page: Path) -> str:
    """Return a page's text without blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.M)


def headings(page: Path) -> list[str]:
    """Return a page's headings of all levels."""
    return re.findall(r"^#+ (.*)$", prose(page), re.M)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(page))
    return {heading.replace(" ", "-") for heading in plain}


def first_cells(page: Path, section: str = "") -> list[str]:
    """Return the first cells of a page's tables, or of one section's, without their headers."""
    text = page.read_text(encoding="utf-8")
    if section:
        text = re.split(rf"^## {re.escape(section)}$", text, flags=re.M)[1]
        text = re.split(r"^## ", text, flags=re.M)[0]
    rows = re.findall(r"^\|(.*)\|$", text, re.M)
    rules = [number for number, row in enumerate(rows) if set(row) <= set("|-: ")]
    dropped = {number for rule in rules for number in (rule - 1, rule)}
    kept = (row for number, row in enumerate(rows) if number not in dropped)
    return [re.split(r"(?<!\\)\|", row)[0].strip() for row in kept]
