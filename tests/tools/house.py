"""Measure the house: `python -m tests.tools.house`, beside an older revision with `--base REV`.

Standard library only; it reads the source and imports none of it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from tests.tools import measures
from tests.tools.dialect import WORDS
from tests.tools.imports import circles, module_graph, room_graph
from tests.tools.measures import House, measure
from tests.tools.source import LAYERS, ROOT, checked_out

LONGEST = 5
MOST_PLACES = 12  # of one word

Column = Sequence[str]  # lines of one house


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of the working tree; 2 as exit code for an unknown revision."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.house", description=__doc__)
    parser.add_argument("--base", metavar="REV", help="a git revision to show beside the tree")
    base = parser.parse_args(arguments).base
    houses = []
    try:
        if base:
            with checked_out(base) as root:
                houses.append(measure(root))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    houses.append(measure(ROOT))
    titles = [base, "working tree"] if base else ["working tree"]
    print("\n".join(report(houses, titles)))
    return 0


def report(houses: Sequence[House], titles: Sequence[str]) -> Iterator[str]:
    """Yield the report's lines: one house a column, the old one first.

    Args:
        titles: a name for each house.
    """
    for layer in LAYERS:
        figures = [measures.layer_figures(house, layer) for house in houses]
        rows = ([name, *(f[name] for f in figures)] for name in figures[0])
        yield from _section(f"{layer}/", table([["", *titles], *rows]))
    for layer in LAYERS:
        columns = [_folder_lines(house, layer) for house in houses]
        yield from _section(f"{layer}/: folders, modules, lines", side_by_side(columns))
    for layer in LAYERS:
        columns = [_longest_lines(house, layer) for house in houses]
        yield from _section(f"{layer}/: longest modules and functions", side_by_side(columns))
    columns = [_wrong_ways(house) for house in houses]
    yield from _section("circles, and imports of a layer above", side_by_side(columns))
    counts = [Counter(finding.word.name for finding in house.words) for house in houses]
    words = ([word.name, word.plain, *(f"{c[word.name]}" for c in counts)] for word in WORDS)
    yield from _section("words of the old dialect", table([["", "now", *titles], *words]))
    yield from _section(f"places of words, {titles[-1]}", _places(houses[-1]))
    columns = [[str(duplicate) for duplicate in house.duplicates] for house in houses]
    yield from _section("the same lines in two places", side_by_side(columns))


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align rows of cells: the first column to the left, figures to the right."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_aligned, row, widths)).rstrip() for row in cells]


def side_by_side(columns: Sequence[Column]) -> list[str]:
    """Set lists of lines beside each other; a lone list stays as it is."""
    widths = [max(map(len, column), default=0) for column in columns]
    return [
        "  |  ".join(line.ljust(width) for line, width in zip(lines, widths, strict=True)).rstrip()
        for lines in zip_longest(*columns, fillvalue="")
    ]


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield from ("", title, "-" * len(title))
    yield from lines if any(lines) else ["none"]


def _aligned(cell: str, width: int) -> str:
    is_figure = cell[:1].isdigit() or cell == "-"
    return cell.rjust(width) if is_figure else cell.ljust(width)


def _folder_lines(house: House, layer: str) -> Column:
    rows = measures.folders(house.of(layer)).items()
    return table([name, f"{count}", f"{lines:,}"] for name, (count, lines) in rows)


def _longest_lines(house: House, layer: str) -> Column:
    modules = house.of(layer)
    ranked = measures.longest_modules(modules, LONGEST)
    ranked += measures.longest_functions(modules, LONGEST)
    return [f"{length:4}  {name}" for length, name in ranked]


def _wrong_ways(house: House) -> Column:
    graphs = [module_graph(house.modules), *(room_graph(house.of(layer)) for layer in LAYERS)]
    found = [" <-> ".join(circle) for graph in graphs for circle in circles(graph)]
    return [*found, *measures.layer_arrows_up(house)]


def _places(house: House) -> list[str]:
    lines = []
    for word in WORDS:
        places = [f"{f.path}:{f.number}" for f in house.words if f.word is word]
        more = [f"and {len(places) - MOST_PLACES} more"] if len(places) > MOST_PLACES else []
        if places:
            lines.append(f"{word.name}: {', '.join(places[:MOST_PLACES] + more)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
