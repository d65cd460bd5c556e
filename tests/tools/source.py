"""The source as data: modules, the rooms they stand in, and a revision of git as a folder.

A room is a folder of modules (`pipeline.dataset`); a module at a layer's root is a room of its own.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
# May import themselves and what stands before them.
LAYERS = ("pipeline", "training", "jobs")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file that is not empty.

    Args:
        path: relative to the root, with slashes.
        text: its content.
    """

    path: str
    text: str

    @cached_property
    def name(self) -> str:
        """Its dotted name; that of the package for an `__init__`."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def layer(self) -> str:
        """The first part of its name."""
        return self.name.split(".")[0]

    @property
    def room(self) -> str:
        """The folder it stands in, dotted; its own name for a module at a layer's root."""
        folder = self.path.split("/")[:-1]
        return self.name if len(folder) < 2 else ".".join(folder)

    @cached_property
    def num_lines(self) -> int:
        """All lines, blank ones included."""
        return len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree, in no order that matters."""
        return tuple(ast.walk(self.tree))

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Yield every function and method with its name below the module, `Class.method`."""
        yield from _functions(self.tree, "")


def read_modules(root: Path = ROOT, folders: Iterable[str] = LAYERS) -> list[Module]:
    """Read all modules below some folders of a root, sorted by path, without the empty ones."""
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    modules = (
        Module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
    )
    return [module for module in modules if module.text.strip()]


def rooms_of(modules: Iterable[Module]) -> dict[str, list[Module]]:
    """Group modules by room, both in the order given."""
    rooms: dict[str, list[Module]] = {}
    for module in modules:
        rooms.setdefault(module.room, []).append(module)
    return rooms


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Lend a temporary folder with the files of a git revision.

    Raises:
        ValueError: git does not know the revision.
    """
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"cannot read revision {revision!r}: {done.stderr.decode().strip()}")
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
        yield Path(folder)


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)
