"""The README's commands: each is a real one, and all run as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from PIL import Image

from jobs.cli.command_group import commands_by_heading
from jobs.cli.main import app
from tests.standins.published_blobs import write_dataset
from training.encoders.features import FeatureNetwork
from training.extraction.extractor_folder import write_extractor
from training.students.pix2pixhd import Pix2PixHD, Preset
from training.students.pix2pixhd_discriminators import DiscriminatorConfig
from training.students.pix2pixhd_generator import GeneratorConfig

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SECONDS_FOR_ALL = 1800


def printed_commands() -> list[str]:
    """Every line of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def of_program(program: str) -> list[list[str]]:
    """Arguments of the printed commands of one program."""
    split = [shlex.split(line) for line in printed_commands()]
    return [words[1:] for words in split if words[0] == program]


def test_printed_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "runs/xdog/dataset")
    monkeypatch.chdir(tmp_path)
    preset = Preset(GeneratorConfig(width=4, downs=1, blocks=1), DiscriminatorConfig(width=4))
    extractor = tmp_path / "runs/xdog/extractor"
    extractor.mkdir(parents=True)
    write_extractor(extractor, Pix2PixHD(preset, FeatureNetwork), "pix2pixhd", {})
    Image.new("RGB", (33, 21), "white").save("photo.jpg")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S):
        exec(block, names)
    assert Image.open("drawing.png").size == (33, 21)
    assert names["order"].steps == 2
    assert names["images"].shape == (8, 32, 32, 3) and names["sketches"].shape == (8, 32, 32)


def test_every_stage_is_printed_in_order() -> None:
    stages = [arguments[0] for arguments in of_program("onesketch")]
    assert stages == ["source", "teach", "generate", "distill", "extract", "evaluate", "init"]


def in_tables() -> list[list[str]]:
    """Arguments of the commands that open a table's row."""
    rows = re.findall(r"^\| `onesketch (.*?)` \|", README.read_text(), re.M)
    return [shlex.split(row) for row in rows]


def test_every_command_is_in_the_readme() -> None:
    group = typer.main.get_command(app)
    text = README.read_text()
    assert [name for name in group.commands if f"onesketch {name}" not in text] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("heading", ["Looking after a dataset", "The method, checked"])
def test_commands_of_a_heading_are_in_its_table(heading: str) -> None:
    group = typer.main.get_command(app)
    (section,) = re.findall(rf"^## {heading}$(.*?)^## ", README.read_text(), re.M | re.S)
    printed = re.findall(r"^\| `onesketch (\S+)", section, re.M)
    assert set(commands_by_heading(group)[heading]) <= set(printed)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", of_program("onesketch") + in_tables(), ids=" ".join)
def test_printed_commands_are_understood(arguments: list[str]) -> None:
    group = typer.main.get_command(app)
    context = group.make_context("onesketch", list(arguments))
    name, command, rest = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
    command.make_context(name, rest, parent=context)


def test_printed_targets_of_make_exist() -> None:
    makefile = ROOT / "Makefile"
    targets = set(re.findall(r"^([\w-]+):", makefile.read_text(), re.M))
    assert {arguments[0] for arguments in of_program("make")} <= targets


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(SECONDS_FOR_ALL)
def test_printed_commands_run(tmp_path: Path) -> None:
    binaries = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    for arguments in of_program("onesketch"):
        done = subprocess.run(
            ["onesketch", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "drawings").glob("*.png"))
