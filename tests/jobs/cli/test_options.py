"""Options: local paths are checked as they are typed, objects become one option for each field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from jobs.cli.main import app as onesketch
from jobs.cli.options import local_path, place, unfold_options


@pytest.mark.parametrize(
    "command",
    [
        ["extract-video", "model", "film.mp4"],
        ["extract-by-teacher", "teacher", "photo.png"],
        ["evaluate", "model"],
        ["export", "dataset"],
        ["style", "xdog", "photo.png"],
        ["select", "embedded"],
        ["prior", "embedded"],
        ["confidence", "a", "b"],
        ["ablate", "xdog"],
        ["bench", "encode"],
        ["train-embedded"],
    ],
    ids=lambda command: command[0],
)
def test_out_is_a_local_path(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for typed, expected in (("", "it is empty"), ("s3://bucket/x", "s3://bucket/x is an address")):
        result = CliRunner().invoke(onesketch, [*command, "--out", typed])
        assert result.exit_code == 2
        assert f"Invalid value for '--out': {expected}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_a_local_path_or_an_address() -> None:
    assert place("a/b") == "a/b" and place("s3://bucket/x") == "s3://bucket/x"
    for wrong in ("", "gs://bucket/x"):
        with pytest.raises(typer.BadParameter):
            place(wrong)


def test_local_paths_stay_as_they_are() -> None:
    assert local_path("a/b c") == Path("a/b c")
    assert local_path(Path("x")) == Path("x")


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour", help="Of the wall.")]
    coats: Annotated[int, typer.Option("--coats", min=1)] = 2


def make_app(painted: list[object]) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @unfold_options
    def paint(
        wall: Annotated[str, typer.Argument()],
        options: Paint,
        dry: Annotated[bool, typer.Option("--dry")] = False,
    ) -> None:
        """Paint a wall."""
        painted.append((wall, options, dry))

    return app


def test_fields_become_options() -> None:
    painted: list[object] = []
    typed = ["north", "--colour", "red", "--dry"]
    assert CliRunner().invoke(make_app(painted), typed).exit_code == 0
    assert painted == [("north", Paint("red", 2), True)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["north"], "Missing option '--colour'"),
        (["north", "--colour", "red", "--coats", "0"], "Invalid value for '--coats'"),
    ],
)
def test_fields_are_checked_as_options_are(typed: list[str], expected: str) -> None:
    result = CliRunner().invoke(make_app([]), typed)
    assert result.exit_code == 2 and expected in result.stderr


def test_fields_are_explained_in_the_help() -> None:
    text = CliRunner().invoke(make_app([]), ["--help"]).stdout
    assert "Paint a wall." in text and "Of the wall." in text and "[default: 2; x>=1]" in text
