"""Code that stands in two places: runs of lines that are the same but for indentation.

Imports, docstrings, comments, blank lines and lines without a letter (brackets) count for nothing.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from tests.tools.source import Module

# Shorter runs are mostly signatures and calls that any two files may share.
FEWEST_LINES = 6

Line = tuple[int, str]  # number from 1, text without indentation


@dataclass(frozen=True)
class Duplicate:
    """Two places with the same lines: their paths, first lines, and how many lines they share."""

    path: str
    line: int
    other_path: str
    other_line: int
    num_lines: int

    def __str__(self) -> str:
        """Name both places."""
        places = f"{self.path}:{self.line} = {self.other_path}:{self.other_line}"
        return f"{self.num_lines} lines: {places}"


def find_duplicates(modules: Iterable[Module], fewest: int = FEWEST_LINES) -> list[Duplicate]:
    """Find pairs of places that share `fewest` lines or more, the longest first."""
    lines = {module.path: code_lines(module) for module in modules}
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for path, numbered in lines.items():
        for start in range(len(numbered) - fewest + 1):
            windows[tuple(text for _, text in numbered[start : start + fewest])].append(
                (path, start)
            )
    pairs = {pair for places in windows.values() for pair in combinations(places, 2)}
    found = []
    for (path, start), (other, other_start) in sorted(pairs):
        if ((path, start - 1), (other, other_start - 1)) in pairs:
            continue  # inside a run that begins earlier
        shared = 0
        while ((path, start + shared), (other, other_start + shared)) in pairs:
            shared += 1
        length = shared + fewest - 1
        places = (path, lines[path][start][0], other, lines[other][other_start][0])
        found.append(Duplicate(*places, length))
    return sorted(found, key=lambda duplicate: -duplicate.num_lines)


def code_lines(module: Module) -> Sequence[Line]:
    """Return the lines that say something: no import, docstring, comment, blank or bracket."""
    skipped = set(_lines_of_imports_and_docstrings(module))
    numbered = enumerate(map(str.strip, module.text.splitlines()), start=1)
    return [
        (number, text)
        for number, text in numbered
        if number not in skipped and not text.startswith("#") and any(map(str.isalpha, text))
    ]


def _lines_of_imports_and_docstrings(module: Module) -> Iterator[int]:
    for node in module.nodes:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Expr | ast.Import | ast.ImportFrom):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)
