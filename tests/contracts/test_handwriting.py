"""One handwriting in all layers, as far as lint (pyproject.toml) has no rule for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.tools.handwriting import Habit, each_loops, private_before_public, unused_outside
from tests.tools.source import LAYERS, Module, read_modules

EVERYTHING = read_modules(folders=(*LAYERS, "tests", "infra"))


def report(found: Sequence[str]) -> str:
    return "\n".join(["", *found])


def modules_of(layer: str) -> list[Module]:
    return [module for module in EVERYTHING if module.layer == layer]


def places(modules: Sequence[Module], habit: Habit) -> list[str]:
    return [f"{module.path}:{line}" for module in modules for line in habit(module)]


@pytest.mark.parametrize("layer", [*LAYERS, "tests", "infra"])
def test_loop_variables_are_called_by_what_they_are(layer: str) -> None:
    found = places(modules_of(layer), each_loops)
    assert not found, report(found)


def test_the_front_door_of_a_job_comes_first() -> None:
    found = places(modules_of("jobs"), private_before_public)
    assert not found, report(found)


def test_what_a_job_keeps_to_itself_is_private() -> None:
    found = unused_outside(modules_of("jobs"), EVERYTHING)
    assert not found, report(found)
