"""Architecture: imports point one way, and each outside system has its few places."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# May import themselves and what stands before them.
LAYERS = ("pipeline", "training", "jobs")
PLACES = {
    "ray": ("pipeline/generation/ray_actors.py", "training/distillation/ray_train.py", "jobs/"),
    "boto3": ("pipeline/storage",),
    "botocore": ("pipeline/storage",),
    "typer": ("jobs/",),
    "rich": ("jobs/",),
}
MOST_LINES = 400


def source_files(layer: str) -> Iterator[Path]:
    yield from sorted((ROOT / layer).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module named by an import anywhere in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_one_above_it(layer: str) -> None:
    above = {*LAYERS[LAYERS.index(layer) + 1 :], "tests", "infra"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in source_files(layer)
        for module in imported(path)
        if module.split(".")[0] in above
    ]
    assert not wrong


@pytest.mark.parametrize("package", PLACES)
def test_outside_systems_have_their_places(package: str) -> None:
    wrong = [
        path.relative_to(ROOT).as_posix()
        for layer in LAYERS
        for path in source_files(layer)
        if package in {module.split(".")[0] for module in imported(path)}
        and not path.relative_to(ROOT).as_posix().startswith(PLACES[package])
    ]
    assert not wrong


def test_files_stay_readable_in_one_sitting() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for layer in LAYERS
        for path in source_files(layer)
    }
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_no_file_is_named_for_odds_and_ends() -> None:
    banned = {"utils", "helpers", "common", "base", "misc"}
    named = [path for layer in LAYERS for path in source_files(layer) if path.stem in banned]
    assert not named
