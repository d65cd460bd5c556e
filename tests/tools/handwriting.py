"""Handwriting: habits in which the layers of the house should not differ.

Lint keeps most of them (pyproject.toml); here they are counted, and the rest is found.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.tools.imports import names_used
from tests.tools.source import Function, Module

Definition = Function | ast.ClassDef


def without_future_import(module: Module) -> list[int]:
    """Return line 1 of a module that does not put off the evaluation of annotations."""
    found = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for node in module.tree.body
    )
    return [] if found else [1]


def unannotated_functions(module: Module) -> list[int]:
    """Return the lines of public functions that lack the type of an argument or of the result."""
    return [f.lineno for name, f in module.functions() if _is_public(name) and not _is_typed(f)]


def undocumented_functions(module: Module) -> list[int]:
    """Return the lines of public functions without a docstring; those in functions do not count."""
    return [
        node.lineno
        for node in _definitions(module.tree)
        if not isinstance(node, ast.ClassDef) and not ast.get_docstring(node)
    ]


def arrays_without_dtype(module: Module) -> list[int]:
    """Return the lines of annotations that say np.ndarray and not of what."""
    annotations = [node for node in module.nodes if isinstance(node, ast.arg)]
    places = [a.annotation for a in annotations]
    places += [f.returns for _, f in module.functions()]
    places += [n.annotation for n in module.nodes if isinstance(n, ast.AnnAssign)]
    return [
        place.lineno
        for place in places
        if place is not None
        for node in ast.walk(place)
        if isinstance(node, ast.Attribute) and node.attr == "ndarray"
    ]


def functional_imports(module: Module) -> list[int]:
    """Return the lines that import torch.nn.functional by another name than F."""
    return [
        node.lineno
        for node in module.nodes
        if isinstance(node, ast.ImportFrom)
        and node.module in ("torch.nn", "torch.nn.functional")
        and any("torch.nn.functional" in f"{node.module}.{alias.name}" for alias in node.names)
    ]


def each_loops(module: Module) -> list[int]:
    """Return the lines of loops whose variable is called `each` and not by what it is."""
    targets = [
        node.target
        for node in module.nodes
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)
    ]
    return [
        name.lineno
        for target in targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and name.id == "each"
    ]


def private_before_public(module: Module) -> list[int]:
    """Return the lines of private functions that stand before the first public one, if any.

    Those that the module calls while it is imported have to, and do not count.
    """
    functions = [node for node in module.tree.body if isinstance(node, Function)]
    public = [number for number, node in enumerate(functions) if _is_public(node.name)]
    at_import = {
        name.id
        for node in module.tree.body
        if not isinstance(node, Definition)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }
    before = functions[: public[0]] if public else []
    return [node.lineno for node in before if node.name not in at_import]


Habit = Callable[[Module], Sequence[int]]
HABITS: dict[str, Habit] = {
    "modules without the future import": without_future_import,
    "public functions without annotations": unannotated_functions,
    "public functions without docstring": undocumented_functions,
    "np.ndarray without dtype": arrays_without_dtype,
    "torch.nn.functional not as F": functional_imports,
    "loops over `each`": each_loops,
    "private functions before the first public one": private_before_public,
}


def unused_outside(modules: Iterable[Module], users: Iterable[Module]) -> list[str]:
    """List public functions that no other module uses, `path: name`.

    Commands (`@app.command()`) are in use by their decorator.

    Args:
        modules: those whose functions are asked for.
        users: all modules that may use them; uses in a function's own module do not count.
    """
    used_in: dict[str, set[str]] = defaultdict(set)
    for user in users:
        for name in names_used(user):
            used_in[name].add(user.path)
    return [
        f"{module.path}: {node.name}"
        for module in modules
        for node in module.tree.body
        if isinstance(node, Function)
        and _is_public(node.name)
        and not used_in[f"{module.name}.{node.name}"] - {module.path}
        and not any(ast.unparse(d).startswith("app.") for d in node.decorator_list)
    ]


def _definitions(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Yield public functions, classes and methods, without those inside functions."""
    for node in tree.body:
        if isinstance(node, Definition) and _is_public(node.name):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node)


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def _is_typed(function: Function) -> bool:
    spec = function.args
    arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
    given = [a for a in arguments if a is not None and a.arg not in ("self", "cls")]
    return function.returns is not None and all(a.annotation is not None for a in given)
