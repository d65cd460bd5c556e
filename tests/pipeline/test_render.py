"""Templates filled in: what is escaped, what is refused, what filters write."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from pipeline.render import readable_size, render


def test_html_escapes_and_markdown_does_not(tmp_path: Path) -> None:
    (tmp_path / "part.html.j2").write_text("{{ text }}")
    (tmp_path / "page.html.j2").write_text('<p>{% include "part.html.j2" %}</p>\n')
    (tmp_path / "page.md.j2").write_text("{{ text }}, {{ bytes | size }}\n")
    assert render(tmp_path / "page.html.j2", text="a < b") == b"<p>a &lt; b</p>\n"
    assert render(tmp_path / "page.md.j2", text="a < b", bytes=1500) == b"a < b, 1.5 kB\n"


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.md.j2").write_text("{{ text }}")
    with pytest.raises(jinja2.UndefinedError, match="'text' is undefined"):
        render(tmp_path / "page.md.j2")


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (16 * 10**9, "16 GB")]
)
def test_sizes(size: int, words: str) -> None:
    assert readable_size(size) == words
