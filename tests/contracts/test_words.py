"""Words: the old dialect is gone, but where tests/tools/dialect.py says why it stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.dialect import WORDS
from tests.tools.source import ROOT
from tests.tools.wording import ENDINGS, find_words


def text_below(place: Path) -> str:
    """Return the text of a file, or of all files of a folder."""
    paths = (path for path in (place, *place.rglob("*")) if path.suffix in ENDINGS)
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_no_word_of_the_dialect_is_left() -> None:
    found = [str(finding) for finding in find_words()]
    assert not found, "\n".join(["", *found])


def test_exceptions_are_still_needed() -> None:
    unneeded = [
        f"{word.name}: {start}"
        for word in WORDS
        for start in word.allowed
        if not re.search(word.pattern, text_below(ROOT / start), re.MULTILINE)
    ]
    assert unneeded == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("def make_lesson(row):", "lesson"),
        ("raise OtherLessonError(fault)", "OtherLessonError"),
        ("SCHOOLROOM = 3", "schoolroom"),
        ("a course that diverged", "course"),
        ("known = state.known", "known"),
        ("return condition(known, drawn, i, 9)", "known"),
        ("it speaks of another tar", "speaks of"),
        ("it is no name of a shard", "is no ... of"),
        ("split_halves(x)", "halves"),
    ],
)
def test_words_are_found(tmp_path: Path, line: str, name: str) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/module.py").write_text(line + "\n", encoding="utf-8")
    assert name in [finding.word.name for finding in find_words(tmp_path)]


@pytest.mark.parametrize(
    "line",
    [
        "of course the signal takes its course",
        "the columns known so far; a style that is not known",
        "def is_heartbeat(name: str, known: list[str]) -> bool:",
        "there is no dataset of that name",
        "a resource, a recourse, intercourse",
        "lessen, fewest, newsletter, borderless",
        "look it up: nobody looks at it",
    ],
)
def test_ordinary_english_is_not_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/module.py").write_text(line + "\n", encoding="utf-8")
    assert [str(finding) for finding in find_words(tmp_path)] == []
