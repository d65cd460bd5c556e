"""A house in figures: rooms, arrows, lengths, words, doubles and habits of a source tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.tools.duplicates import Duplicate, find_duplicates
from tests.tools.handwriting import HABITS, unused_outside
from tests.tools.imports import (
    Graph,
    arrows_up,
    circles,
    floors,
    module_graph,
    num_arrows,
    room_graph,
)
from tests.tools.source import LAYERS, Module, read_modules
from tests.tools.wording import Finding, find_words

UNUSED = "public functions used in their own module only"

Ranking = list[tuple[int, str]]  # length in lines, name


@dataclass(frozen=True)
class House:
    """What was measured of a source tree.

    Args:
        modules: all that are not empty, of the three layers.
        users: those of the tests as well.
        words: places of the old dialect within the layers.
        duplicates: pairs of places with the same lines.
    """

    modules: Sequence[Module]
    users: Sequence[Module]
    words: Sequence[Finding]
    duplicates: Sequence[Duplicate]

    def of(self, layer: str) -> list[Module]:
        """Return a layer's modules."""
        return [module for module in self.modules if module.layer == layer]


def measure(root: Path) -> House:
    """Measure the tree below a root."""
    modules = read_modules(root)
    users = read_modules(root, (*LAYERS, "tests"))
    return House(modules, users, list(find_words(root, LAYERS)), find_duplicates(modules))


def folders(modules: Sequence[Module]) -> dict[str, tuple[int, int]]:
    """Map every folder to its own modules and lines, without those of folders inside."""
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for module in modules:
        folder = module.path.rpartition("/")[0]
        counts[folder] += 1
        lines[folder] += module.num_lines
    return {folder: (counts[folder], lines[folder]) for folder in sorted(counts)}


def layer_figures(house: House, layer: str) -> dict[str, str]:
    """Describe a layer by name and value, in the order in which they are shown."""
    modules = house.of(layer)
    sizes = [count for count, _ in folders(modules).values()]
    figures = {
        "modules": f"{len(modules)}",
        "lines": f"{sum(module.num_lines for module in modules):,}",
        "folders": f"{len(sizes)}",
        "modules a folder: least, median, most": f"{min(sizes)}, {median(sizes):g}, {max(sizes)}",
        **_graph_figures("modules", module_graph(modules)),
        **_graph_figures("rooms", room_graph(modules)),
        "words of the old dialect": f"{sum(f.path.startswith(layer) for f in house.words)}",
        "doubles that begin here": f"{sum(d.path.startswith(layer) for d in house.duplicates)}",
    }
    for name, habit in HABITS.items():
        figures[name] = f"{sum(len(habit(module)) for module in modules)}"
    return {**figures, UNUSED: f"{len(unused_outside(modules, house.users))}"}


def layer_arrows_up(house: House) -> list[str]:
    """List imports from a layer in one above it."""
    return [f"{source} -> {target}" for source, target in arrows_up(module_graph(house.modules))]


def longest_modules(modules: Sequence[Module], count: int) -> Ranking:
    """Rank modules by lines, the longest first."""
    return sorted(((m.num_lines, m.path) for m in modules), reverse=True)[:count]


def longest_functions(modules: Sequence[Module], count: int) -> Ranking:
    """Rank functions and methods by lines, docstrings included, the longest first."""
    ranking = [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{module.path}: {name}")
        for module in modules
        for name, node in module.functions()
    ]
    return sorted(ranking, reverse=True)[:count]


def _graph_figures(what: str, graph: Graph) -> dict[str, str]:
    found = circles(graph)
    return {
        f"{what} of the graph": f"{len(graph)}",
        f"arrows between {what}": f"{num_arrows(graph)}",
        f"floors of {what}": "-" if found else f"{len(floors(graph))}",
        f"circles of {what}": f"{len(found)}",
    }
