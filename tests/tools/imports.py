"""Who imports whom: arrows between modules and between rooms, circles, floors.

A graph maps each node to those its arrows point at. Imports inside functions and those for types
only count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.tools.source import LAYERS, Module

Graph = Mapping[str, frozenset[str]]


def imported_names(module: Module) -> Iterator[str]:
    """Yield every dotted name that a module imports, `package.module.name` for a from-import."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module.path}:{node.lineno}: relative import")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_used(module: Module) -> set[str]:
    """Return the dotted names that a module imports, and the attributes it takes of them."""
    called: dict[str, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            called |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom):
            called |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    attributes = {
        f"{called[node.value.id]}.{node.attr}"
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in called
    }
    return set(called.values()) | attributes


def module_graph(modules: Iterable[Module]) -> Graph:
    """Draw the arrows between the modules given; what else they import is left out."""
    by_name = {module.name: module for module in modules}
    return {
        name: frozenset(
            target
            for imported in imported_names(module)
            if (target := _owner(imported, by_name)) not in (None, name)
        )
        for name, module in by_name.items()
    }


def room_graph(modules: Sequence[Module]) -> Graph:
    """Draw the arrows between rooms: one for any number of imports from one room in another."""
    room = {module.name: module.room for module in modules}
    arrows: dict[str, set[str]] = {name: set() for name in room.values()}
    for source, targets in module_graph(modules).items():
        arrows[room[source]] |= {room[target] for target in targets} - {room[source]}
    return {name: frozenset(targets) for name, targets in arrows.items()}


def num_arrows(graph: Graph) -> int:
    """Count the arrows of a graph."""
    return sum(map(len, graph.values()))


def arrows_up(graph: Graph) -> list[tuple[str, str]]:
    """List the arrows that point from a layer at one above it."""
    level = {layer: number for number, layer in enumerate(LAYERS)}
    return [
        (source, target)
        for source, targets in graph.items()
        for target in sorted(targets)
        if level[source.split(".")[0]] < level[target.split(".")[0]]
    ]


def circles(graph: Graph) -> list[list[str]]:
    """List the sets of nodes that reach each other, each sorted; none for a house in order."""
    reached = {node: _reached(graph, node) for node in graph}
    groups = {
        tuple(sorted(other for other in reached[node] if node in reached[other]))
        for node in graph
        if node in reached[node]
    }
    return [list(group) for group in sorted(groups)]


def floors(graph: Graph) -> list[list[str]]:
    """Sort the nodes into floors: each on the lowest that lies above all it points at.

    Their number is the length of the longest chain of arrows, in nodes.

    Raises:
        ValueError: the graph has a circle.
    """
    floor: dict[str, int] = {}
    while len(floor) < len(graph):
        ready = {node for node in graph if node not in floor and graph[node] <= floor.keys()}
        if not ready:
            raise ValueError(f"no floors: circles {circles(graph)}")
        floor |= {node: 1 + max((floor[t] for t in graph[node]), default=-1) for node in ready}
    sorted_out: list[list[str]] = [[] for _ in range(max(floor.values(), default=-1) + 1)]
    for node in sorted(floor):
        sorted_out[floor[node]].append(node)
    return sorted_out


def _owner(imported: str, by_name: Mapping[str, Module]) -> str | None:
    """Find the module that an imported name is, or is defined in."""
    parts = imported.split(".")
    starts = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((start for start in starts if start in by_name), None)


def _reached(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached
