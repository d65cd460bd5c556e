"""Files are written in one place, which makes them whole and gives them the umask's permissions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.tools.source import LAYERS, read_modules

# What writes by itself, with the reason; everything else goes through pipeline/whole_file.py.
ALLOWED = {
    "pipeline/whole_file.py": {
        "replace": "the place itself",
        "rename": "the place itself",
        "open": "the place itself",
        "write_bytes": "into the temporary file",
    },
    "pipeline/storage/local.py": {
        "rename": "a store's own protocol: created only if absent, synced with its folder",
        "open": "a store's own protocol: created only if absent, synced with its folder",
    },
    "pipeline/storage/node_cache.py": {
        "open": "locks, and entries that are named when they are whole",
    },
    "pipeline/reading/selection.py": {"open": "a lock"},
    "pipeline/storage/lease.py": {"open": "locks"},
    "training/keeper.py": {"mkdtemp": "a folder that goes when it is uploaded"},
    "jobs/benchmarks/memory.py": {"write_text": "a switch of the kernel"},
    "jobs/benchmarks/pipelines.py": {"touch": "in a temporary folder"},
    "jobs/submission/upload.py": {"write_bytes": "in a temporary folder"},
    "pipeline/video/writer.py": {"open": "into the temporary file"},
    "jobs/extract/far.py": {"write_bytes": "in a temporary folder"},
    "pipeline/reading/export.py": {
        "write_bytes": "thousands of files in a folder that is named when all are there",
    },
}
# Methods of paths and functions of libraries that write a file under its final name.
METHODS = {"write_text", "write_bytes", "touch", "tofile"}
FUNCTIONS = {"mkstemp", "mkdtemp", "NamedTemporaryFile", "save_file"}
OF_MODULES = {
    ("os", "replace"),
    ("os", "rename"),
    ("os", "open"),
    ("torch", "save"),
    ("shutil", "move"),
}


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines that write files by themselves, and the name of what does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _name(node)
            if name and (_is_writer(node, name) or (name == "open" and _opens_anew(node))):
                yield node.lineno, name


def _name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_writer(call: ast.Call, name: str) -> bool:
    if name in FUNCTIONS:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False  # whole_file's own write_text and write_bytes, imported by name
    value = call.func.value
    if isinstance(value, ast.Name) and (value.id, name) in OF_MODULES:
        return _writes_by_flags(call) if name == "open" else True
    # Path.rename takes one argument; what else is called so takes none or several.
    return name in METHODS or (name == "rename" and len(call.args) == 1)


def _writes_by_flags(call: ast.Call) -> bool:
    named = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
    with_permissions = len(call.args) > 2
    return with_permissions or bool(named & {"O_CREAT", "O_WRONLY", "O_RDWR"})


def _opens_anew(call: ast.Call) -> bool:
    """Whether a call of open() or Path.open() begins a file; what is appended to a log may be."""
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    texts = [node.value for node in (*call.args[:2], *modes) if isinstance(node, ast.Constant)]
    known = {"w", "x", "r", "a", "b", "t", "+"}
    return any(
        isinstance(text, str) and text and set(text) <= known and set(text) & {"w", "x", "+"}
        for text in texts
    )


def test_files_are_written_in_one_place() -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in read_modules(folders=LAYERS)
        for line, name in writes(module.tree)
        if name not in ALLOWED.get(str(module.path), {})
    ]
    assert not wrong, "\n".join(["", *wrong, "use pipeline/whole_file.py"])


def test_exceptions_are_still_needed() -> None:
    used = {
        (str(module.path), name)
        for module in read_modules(folders=LAYERS)
        for _, name in writes(module.tree)
    }
    allowed = {(path, name) for path, names in ALLOWED.items() for name in names}
    assert allowed - used == set()


@pytest.mark.parametrize(
    "line",
    [
        "os.replace(a, b)",
        "path.rename(other)",
        "path.write_text('x')",
        "(folder / 'a').write_bytes(b'x')",
        "save_file(tensors, path)",
        "safetensors.torch.save_file(tensors, path)",
        "open(path, 'w')",
        "open(path, mode='xb')",
        "path.open('wb')",
        "path.open('r+b')",
        "tempfile.mkdtemp()",
        "mkstemp(dir=folder)",
        "torch.save(state, path)",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "os.open(path, flags, 0o600)",
    ],
)
def test_writers_are_found(line: str) -> None:
    assert [number for number, _ in writes(ast.parse(line))] == [1]


@pytest.mark.parametrize(
    "line",
    [
        "write_bytes(path, b'x')",
        "open(path)",
        "path.open('rb')",
        "path.open('a', encoding='utf-8')",
        "os.open(folder, os.O_RDONLY)",
        "text.replace('a', 'b')",
        "Image.open(path, formats=FORMATS)",
    ],
)
def test_readers_and_logs_are_not(line: str) -> None:
    assert list(writes(ast.parse(line))) == []
