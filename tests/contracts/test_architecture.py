"""Architecture: imports point one way, rooms have their size, and outside systems their few places.

A room is a folder of modules, or a module at a layer's root (tests/tools/source.py). When a test
fails for a good reason, the literal here is the plan to change: on purpose, and in review.
"""

from __future__ import annotations

import pytest

from tests.tools.imports import Graph, circles, floors, imported_names, module_graph, room_graph
from tests.tools.source import LAYERS, Module, read_modules, rooms_of

MODULES = read_modules()
PLACES = {
    "ray": (
        "pipeline/generation/ray_actors.py",
        "training/distillation/ray_train.py",
        "training/ray_events.py",
        "jobs/",
    ),
    "boto3": ("pipeline/storage", "jobs/benchmarks/peers/shard_urls.py"),
    "botocore": ("pipeline/storage",),
    "jinja2": ("pipeline/render.py",),
    "typer": ("jobs/",),
    "rich": ("jobs/",),
}
MOST_LINES = 400
# From the ground up: each room with all those of its layer that it imports, which stand before it.
ROOMS: dict[str, dict[str, str]] = {
    "pipeline": {
        "arrays": "",
        "canonical": "",
        "events": "",
        "filters": "",
        "pair": "arrays",
        "pixels": "arrays",
        "registry": "",
        "render": "",
        "seeds": "",
        "spread": "",
        "whole_file": "",
        "storage": "canonical whole_file",
        "images": "arrays whole_file",
        "recipe": "filters",
        "drawings": "arrays images",
        "video": "arrays drawings whole_file",
        "dataset": "arrays canonical pair recipe storage",
        "diffusion": "arrays canonical images pixels recipe whole_file",
        "analysis": "diffusion seeds",
        "gsketch": "diffusion recipe whole_file",
        "publishing": "arrays canonical dataset render spread storage",
        "reading": "arrays canonical dataset events filters render seeds storage whole_file",
        "teachers": "arrays pair seeds",
        "systems": (
            "arrays canonical diffusion gsketch images pair pixels recipe registry seeds teachers "
            "whole_file"
        ),
        "upkeep": "canonical dataset events publishing storage",
        "generation": "dataset events publishing storage teachers",
    },
    "training": {
        "checkpoint": "",
        "encoders": "",
        "losses": "",
        "keeper": "checkpoint",
        "ray_events": "",
        "snapshots": "",
        "styles": "",
        "tensor_hash": "",
        "embedded.scenes": "styles",
        "evaluation": "encoders styles tensor_hash",
        "oneshot": "checkpoint encoders keeper losses snapshots tensor_hash",
        "students": "encoders losses",
        "extraction": "students",
        "distillation": (
            "checkpoint encoders extraction keeper ray_events snapshots students tensor_hash"
        ),
        "embedded.models": "embedded.scenes styles",
        "embedded": "checkpoint embedded.models embedded.scenes styles",
    },
    "jobs": {
        "runtime": "",
        "nodes": "runtime",
        "benchmarks.standins": "runtime",
        "extract": "runtime",
        "pages": "runtime",
        "benchmarks.peers": "",
        "benchmarks": "benchmarks.peers benchmarks.standins nodes pages runtime",
        "benchmarks.scaling": "benchmarks benchmarks.standins nodes runtime",
        "bench": "benchmarks benchmarks.scaling runtime",
        "evaluation": "extract nodes pages runtime",
        "experiments.selection": "nodes pages runtime",
        "stages": "nodes pages runtime",
        "dataset": "nodes pages runtime stages",
        "experiments.ablation": "evaluation nodes pages runtime stages",
        "report": "evaluation extract pages runtime",
        "submission": "pages runtime",
        "manifests": "submission",
        "demo": "evaluation extract nodes report runtime stages",
        "experiments": (
            "evaluation experiments.ablation experiments.selection extract nodes pages runtime "
            "stages"
        ),
        "cli": (
            "bench benchmarks dataset demo evaluation experiments extract manifests nodes report "
            "runtime stages submission"
        ),
    },
}
# The longest chain of rooms that import each other.
FLOORS = {"pipeline": 5, "training": 4, "jobs": 6}
ROOT_MODULES = {
    "pipeline": (
        "arrays canonical events filters pair pixels registry render seeds spread whole_file"
    ),
    "training": "checkpoint keeper losses ray_events snapshots tensor_hash",
    "jobs": "bench demo",
}
FEWEST_MODULES, MOST_MODULES = 4, 12
OTHER_SIZES: dict[str, str] = {}
# Tests of what is not one module.
OTHER_TESTS = {
    "jobs/dataset/test_dataset_commands.py": "the commands on one dataset that was made once",
    "jobs/dataset/test_far_commands.py": "the same on a real object store",
    "jobs/stages/test_stages.py": "the stages one after the other, on one run's folder",
    "jobs/test_imports.py": "what commands load, processes of their own",
    "jobs/test_readme.py": "the commands in README.md",
    "pipeline/analysis/test_full_size_projection.py": "a process of its own, to measure memory",
    "pipeline/diffusion/test_tiny_backbone.py": "the tests' own backbone",
    "pipeline/generation/test_full_size.py": "a process of its own, to measure memory",
    "training/embedded/test_embedded_models.py": "the models that are shipped, not their modules",
}


def of_layer(layer: str) -> list[Module]:
    return [module for module in MODULES if module.layer == layer]


def drawn(layer: str) -> Graph:
    """Return a layer's rooms as ROOMS draws them."""
    return {
        f"{layer}.{room}": frozenset(f"{layer}.{target}" for target in targets.split())
        for room, targets in ROOMS[layer].items()
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_one_above_it(layer: str) -> None:
    above = {*LAYERS[LAYERS.index(layer) + 1 :], "tests", "infra"}
    wrong = [
        f"{module.path} imports {name}"
        for module in of_layer(layer)
        for name in imported_names(module)
        if name.split(".")[0] in above
    ]
    assert not wrong


@pytest.mark.parametrize("layer", LAYERS)
def test_rooms_import_those_that_the_plan_shows(layer: str) -> None:
    found, plan = room_graph(of_layer(layer)), drawn(layer)
    assert found.keys() == plan.keys()
    new = [f"{room} -> {target}" for room in found for target in found[room] - plan[room]]
    gone = [f"{room} -> {target}" for room in plan for target in plan[room] - found[room]]
    assert (new, gone) == ([], [])


@pytest.mark.parametrize("layer", LAYERS)
def test_the_plan_goes_from_the_ground_up(layer: str) -> None:
    plan = drawn(layer)
    order = list(plan)
    late = [
        f"{room} stands before {target}"
        for room in plan
        for target in plan[room]
        if target in order[order.index(room) :]
    ]
    assert not late
    assert len(floors(plan)) == FLOORS[layer]


def test_no_circles() -> None:
    assert circles(module_graph(MODULES)) == []
    assert [circles(room_graph(of_layer(layer))) for layer in LAYERS] == [[], [], []]


@pytest.mark.parametrize("package", PLACES)
def test_outside_systems_have_their_places(package: str) -> None:
    wrong = [
        module.path
        for module in MODULES
        if package in {name.split(".")[0] for name in imported_names(module)}
        and not module.path.startswith(PLACES[package])
    ]
    assert not wrong


def test_folders_are_neither_drawers_nor_halls() -> None:
    sizes = {
        room: len(modules)
        for room, modules in rooms_of(MODULES).items()
        if [module.name for module in modules] != [room]
    }
    odd = {room for room, n in sizes.items() if not FEWEST_MODULES <= n <= MOST_MODULES}
    assert odd == OTHER_SIZES.keys(), sizes


@pytest.mark.parametrize("layer", LAYERS)
def test_few_modules_stand_at_a_layer_s_root(layer: str) -> None:
    names = [m.path.split("/")[1].removesuffix(".py") for m in of_layer(layer) if m.room == m.name]
    assert names == ROOT_MODULES[layer].split()


def test_tests_mirror_the_source() -> None:
    names = {module.name for module in MODULES}
    tests = [
        test.path.removeprefix("tests/")
        for test in read_modules(folders=[f"tests/{layer}" for layer in LAYERS])
        if test.path.rpartition("/")[2].startswith("test_")
    ]
    mirrored = {
        path: path.removesuffix(".py").replace("/test_", "/").replace("/", ".") for path in tests
    }
    assert {path for path, name in mirrored.items() if name not in names} == OTHER_TESTS.keys()


def test_packages_hold_no_code() -> None:
    assert not [module.path for module in MODULES if module.path.endswith("__init__.py")]


def test_files_stay_readable_in_one_sitting() -> None:
    assert {m.path: m.num_lines for m in MODULES if m.num_lines > MOST_LINES} == {}


def test_no_file_is_named_for_odds_and_ends() -> None:
    banned = {"utils", "helpers", "common", "base", "misc"}
    assert not [module.path for module in MODULES if module.name.split(".")[-1] in banned]
