"""Scalars of a recipe as people read them."""

from __future__ import annotations

import pytest
import yaml

from pipeline.recipe.yaml_scalars import RecipeLoader


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0050", 50),
        ("30_000", 30_000),
        ("-7", -7),
        ("1e-3", 1e-3),
        ("1.0e-3", 1e-3),
        (".5", 0.5),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("~", None),
        ("12:30:45", "12:30:45"),
        ("0x1f", "0x1f"),
        ("2026-11-27", __import__("datetime").date(2026, 11, 27)),
        ("s3://bucket/a", "s3://bucket/a"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = yaml.load(text, Loader=RecipeLoader)
    assert read == value and type(read) is type(value)


def test_other_loaders_keep_their_rules() -> None:
    assert yaml.safe_load("0050") == 40
