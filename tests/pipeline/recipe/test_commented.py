"""A recipe that explains itself: read again it is the same, and no key is without words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.recipe.commented import commented_yaml, differing_keys
from pipeline.recipe.fields import Section
from pipeline.recipe.recipe import Recipe, parse_recipe
from pipeline.recipe.sections import EXAMPLE_SECTIONS, TEACH_SECTIONS
from pipeline.recipe.yaml_scalars import RecipeLoader

PLAIN = {"style": "ink", "example": {"prompt": "a house", "seed": 0, "drawing": "ink.png"}}
ODD = {
    "style": "ink",
    "backbone": "models/sd",
    "run": "s3://bucket/ink",
    "example": {"prompt": 'a "red" house: # on grass, wide', "seed": 7, "drawing": "a: b.png"},
    "teach": {"timesteps": [0, 3], "learning_rate": 1e-5, "prompts": "p.txt", "cdst": False,
              "weights": {"clip": 0.0}},
    "distill": {"workers": "2..8", "where": "blankness < 0.5 and ink_coverage > 0"},
    "dataset": {"out": "elsewhere"},
}  # fmt: skip


def sections() -> list[type[Section]]:
    found: list[type[Section]] = [Recipe, *TEACH_SECTIONS.values(), *EXAMPLE_SECTIONS.values()]
    for section in found:
        for field in section.model_fields.values():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, Section) and kind not in found:
                found.append(kind)
    return found


@pytest.mark.parametrize("data", [PLAIN, ODD])
def test_it_reads_back_as_the_same_recipe(data: dict[str, object]) -> None:
    recipe = parse_recipe(data, Path("/somewhere"))
    text = commented_yaml(recipe)
    assert parse_recipe(yaml.load(text, Loader=RecipeLoader), Path("/somewhere")) == recipe
    assert max(map(len, text.splitlines())) < 160


def test_places_that_follow_are_comments() -> None:
    recipe = parse_recipe(PLAIN, Path("/somewhere"))
    assert "# run: runs/ink " in commented_yaml(recipe)
    assert "  # out: runs/ink/dataset " in commented_yaml(recipe)
    assert differing_keys(recipe) == []


def test_what_differs_shows_its_default() -> None:
    recipe = parse_recipe(PLAIN | {"teach": {"iterations": 5}}, Path("/somewhere"))
    (line,) = [line for line in commented_yaml(recipe).splitlines() if " iterations:" in line]
    assert line.startswith("  iterations: 5 ") and line.endswith("Default: 1200.")
    assert differing_keys(recipe) == ["teach.iterations"]


@pytest.mark.parametrize("section", sections())
def test_every_key_has_a_meaning(section: type[Section]) -> None:
    silent = [name for name, field in section.model_fields.items() if not field.description]
    assert silent == []
