"""Documents: neither they nor docstrings lead to what is not there, and figures have one place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.documents import (
    DOCS,
    LAYERS,
    ROOT,
    Passage,
    anchors,
    first_cells,
    headings,
    passages,
    prose,
    sources,
)

PAGES = sorted(
    [ROOT / "README.md", ROOT / "tests/faults/README.md", *DOCS.glob("*.md")]
    + [*(ROOT / "infra").rglob("README.md")]
)
Finder = Callable[[str], list[str]]


def found(pattern: str, text: str) -> list[str]:
    """Return what a pattern matches: its group, if it has one."""
    return [match.group(match.lastindex or 0) for match in re.finditer(pattern, text)]


def unknown_pages(text: str) -> list[str]:
    """Return pages that a text names and that are not there; FOLDER/ stands for any folder."""
    named = found(r"(?<![\w./-])([\w./-]*\w\.md)\b(?!\.\w)", text)
    return [name for name in named if not (ROOT / re.sub(r"^[A-Z]+/", "", name)).is_file()]


def unknown_sections(text: str) -> list[str]:
    """Return sections that a text names and that their page has no heading for."""
    cited = re.findall(r'docs/([\w-]+\.md), "([^"]+)"', text)
    return [f"{page}: {title}" for page, title in cited if title not in headings(DOCS / page)]


def bare_citations(text: str) -> list[str]:
    """Return citations that do not say of what: `paper 3.2`, `method, section 4`, `design.md`."""
    pages = "|".join(["method", *(page.stem for page in DOCS.glob("*.md"))])
    return [
        *found(r"\b[Pp]aper(?:'s)? (?:[1-9]\b|[A-E]\b)", text),
        *found(r"\b[Pp]aper(?:'s)?, (?:eq|[Ss]ect|[Aa]pp|[Tt]able|[Ff]ig)", text),
        *found(r"\b[Mm]ethod(?:'s)?,? (?:section|symbols)\b", text),
        *found(rf"(?<![\w/-])(?:{pages})\.md\b", text),
    ]


def unknown_sources(text: str) -> list[str]:
    """Return authors with a year, and names with a section, that docs/papers.md does not list."""
    name = r"[A-Z][\w]*(?:-[\w]+)*"
    place = r"(?:eqs?\. |[Ee]quations? |[Ss]ections? |[Aa]ppendix |[Tt]able |[Ff]igure )[\dA-E]"
    dated = re.findall(
        rf"\b({name} et al\.|{name}(?:, {name})+(?:,? and {name})?|{name} and {name})"
        r",? \(?((?:19|20)\d\d)\b",
        text,
    )
    cited = [f"{authors} {year}" for authors, year in dated]
    cited += found(rf"\b({name})(?:'s)?,? (?:{place}|[1-9]\.\d|[A-E]\.\d)", text)
    # The last word is enough of a name of several: Stable Diffusion.
    known = sources() | {source.split()[-1] for source in sources()}
    return [source for source in cited if source not in known]


def is_sourced(passage: Passage) -> bool:
    """Tell whether numbered citations and "the paper" say of what, or their module does."""
    text = passage.text
    numbered = (
        r"\b(?:[Ee]quations? \d|[Ee]qs?\. \d|[Aa]ppendix [A-E]\b|[Tt]ables? \d|[Ff]igures? \d)"
    )
    if not re.search(rf"{numbered}|\b[Tt]he paper\b", text):
        return True
    if "DiffSketch" in text or "DiffSketch" in passage.about:
        return True
    others = "|".join(map(re.escape, sources() - {"DiffSketch"}))
    direct = re.search(rf"(?:{others})(?:'s)?,? \(?(?:section|eq)", text)
    return direct is not None and not re.search(r"\b[Tt]he paper\b", text)


def measured(text: str) -> list[str]:
    """Return figures that somebody measured: they belong in docs/results.md."""
    return [
        *found(r"\d+(?:\.\d+)? ?dB\b", text),
        *found(r"\b(?:RMSE|PSNR|LPIPS|SSIM)(?: \w+){0,4} \d*\.\d+", text),
        *found(r"\d(?:\.\d+)? ?(?:%|times|x) (?:as fast|faster|slower)", text),
        *found(r"\b(?:twice|[a-z]+ times) as (?:fast|slow)\b", text),
        *found(r"\bby a (?:half|third|quarter|fifth|tenth)\b", text),
        *found(r"\ba (?:half|third|quarter|fifth|tenth) of (?:the|all the|their) time\b", text),
    ]


def complaints(find: Finder) -> list[str]:
    """Return what a finder finds in the code, and where."""
    return [f"{what} in {passage}" for passage in passages() for what in find(passage.text)]


def test_pages_that_the_code_names_are_there() -> None:
    assert complaints(unknown_pages) == []


def test_sections_that_the_code_names_are_there() -> None:
    assert complaints(unknown_sections) == []


def test_citations_say_of_what() -> None:
    assert complaints(bare_citations) == []
    assert [str(passage) for passage in passages() if not is_sourced(passage)] == []


def test_cited_sources_are_listed() -> None:
    assert complaints(unknown_sources) == []


def test_listed_sources_are_cited() -> None:
    text = " ".join(passage.text for passage in passages()).lower()
    rows = [source_row.split(";") for source_row in first_cells(DOCS / "papers.md")]
    uncited = [row for row in rows if not any(name.strip().lower() in text for name in row)]
    assert uncited == []


def test_measured_figures_are_in_the_results() -> None:
    assert complaints(measured) == []


@pytest.mark.parametrize(
    ("find", "text"),
    [
        (unknown_pages, "as method.md says"),
        (unknown_pages, "see docs/nowhere.md."),
        (unknown_sections, 'see docs/design.md, "Nothing"'),
        (bare_citations, "aggregation (paper 3.2, equation 1)"),
        (bare_citations, "K (paper B): the k-th best"),
        (bare_citations, "equation 3 (paper, eq. 3)"),
        (bare_citations, "CLIP (method, section 4)"),
        (bare_citations, "names (design.md: dataset layout)"),
        (unknown_sources, "as Nobody et al. 1999 write"),
        (unknown_sources, "as Nobody and Noone 1999 write"),
        (unknown_sources, "as in SketchNet, equation 2"),
        (unknown_sources, "as in SketchNet 3.2"),
        (measured, "ordinary gives 40 dB"),
        (measured, "the latent RMSE is 0.66"),
        (measured, "this gives LPIPS 0.161"),
        (measured, "the plain one was faster by a fifth"),
        (measured, "which is twice as fast"),
    ],
)
def test_what_must_be_found_is_found(find: Finder, text: str) -> None:
    assert find(text)


@pytest.mark.parametrize(
    "text",
    [
        "uint8 (H, W), 255 = paper, 0 = ink",
        "(S, S) uint8, 255 paper, 0 ink",
        "FOLDER/README.md says what is in it; see docs/results.md.",
        "README.md: the dataset's card, from card.md.j2",
        'see docs/design.md, "Publication", and DiffSketch 3.2, equation 1',
        "Stable Diffusion 1.4; Wang et al. 2018, 3.1; LPIPS is of unit length",
        "seconds since 1970; PSNR in dB of images, RMSE of latents",
    ],
)
def test_what_is_fine_is_not_found(text: str) -> None:
    finders = (unknown_pages, unknown_sections, bare_citations, unknown_sources, measured)
    assert [what for find in finders for what in find(text)] == []


@pytest.mark.parametrize(
    ("text", "about", "sourced"),
    [
        ("F_fin by equation 1", "", False),
        ("F_fin by equation 1", "Aggregation (DiffSketch 3.2)", True),
        ("what the paper found", "The page of a run", False),
        ("what the paper found", "The rows of DiffSketch's Table 1", True),
        ("cross entropy (HED, equation 2)", "", True),
        ("the paper's table, unlike HED, equation 2", "", False),
    ],
)
def test_sources_may_stand_in_the_modules_docstring(text: str, about: str, sourced: bool) -> None:
    assert is_sourced(Passage("module.py", 1, text, about)) is sourced


def broken_links(page: Path) -> list[str]:
    """Return a page's links to files and headings that are not there."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    return broken


def missing_paths(page: Path) -> list[str]:
    """Return paths that a page names in backticks, beside it or from the root, and that are not.

    Capitals stand for a name (`NAME.py`), and a path with a colon is the title of the code below.
    """
    text = prose(page)
    titles = set(re.findall(r"^`([\w./-]+)`:$", text, re.M))
    named = [name for name in re.findall(r"`([\w./-]+)`", text) if name not in titles]
    roots = (*LAYERS, "tests", "infra", "docs")
    paths = [name for name in named if name.endswith(".py") or name.split("/")[0] in roots]
    paths = [path for path in paths if not re.search(r"\b[A-Z]+\.py$", path)]
    places = (page.parent, ROOT)
    return [path for path in paths if not any((place / path).exists() for place in places)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_lead_to_what_is_there(page: Path) -> None:
    assert broken_links(page) == []
    assert missing_paths(page) == []


def test_broken_links_and_paths_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[a](#a-page) [b](#b) [c](c.md) [d](page.md#a-page)\n`jobs/nobody.py`\n"
    )
    assert broken_links(page) == ["#b", "c.md"]
    assert missing_paths(page) == ["jobs/nobody.py"]
    page.write_text("`jobs/NAME.py`, `jobs/demo.py`, `docs`\n\n`jobs/toy.py`:\n\n```python\n```\n")
    assert missing_paths(page) == []


def glossary_rows() -> list[list[str]]:
    """Return the cells of the glossary's rows that lead to the code."""
    rows = re.findall(r"^\|(.*)\|$", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.M)
    return [row for row in ([c.strip() for c in r.split("|")] for r in rows) if "`" in row[-1]]


@pytest.mark.parametrize("row", glossary_rows(), ids=lambda row: row[0])
def test_the_glossary_names_what_the_code_has(row: list[str]) -> None:
    quoted = re.findall(r"`([^`]+)`", row[-1])
    paths = [ROOT / name for name in quoted if "/" in name]
    text = " ".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
    names = [name for name in quoted if "/" not in name]
    assert [n for n in names if not re.search(rf"\b{re.escape(n.split('.')[-1])}\b", text)] == []
