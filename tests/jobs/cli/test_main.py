"""All commands: each in one group of the help, quick to list, and with few options of its own."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from jobs.benchmarks.measure import Effort
from jobs.cli.command_group import commands_by_heading
from jobs.cli.experiments import AblateOptions, SelectOptions
from jobs.cli.main import app
from jobs.cli.project import BenchOptions
from jobs.cli.stages import EvaluateOptions, FleetOptions
from jobs.evaluation.evaluate import Evaluated, Measurement
from jobs.experiments.ablate import Ablation
from jobs.experiments.select import Selection
from jobs.stages.generate import Fleet
from pipeline.recipe.workers import WorkerRange

ROOT = Path(__file__).parents[3]
GROUPS = {
    "Recipes": "init recipe",
    "From a drawing to an extractor": ("source teach generate distill all evaluate report demo"),
    "Drawing with an extractor": "extract extract-video publish",
    "Cluster": "submit manifest attach stop jobs",
    "Looking after a dataset": "plan preview status list verify repair gc export",
    "The method, checked": "select prior confidence ablate extract-by-teacher style",
    "The project itself": "bench train-embedded",
}
MOST_PARAMETERS = 8


def all_commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_stands_in_exactly_one_group() -> None:
    found = commands_by_heading(typer.main.get_command(app))  # type: ignore[arg-type]
    assert {heading: " ".join(commands) for heading, commands in found.items()} == GROUPS
    listed = [name for commands in found.values() for name in commands]
    assert sorted(listed) == sorted(all_commands())


def test_help_shows_the_groups_and_cuts_no_sentence() -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    for heading, names in GROUPS.items():
        block = re.search(rf"^{heading}:\n((?:  .+\n?)+)", text, re.M)
        assert block is not None, text
        assert re.findall(r"^  (\S+) ", block[1], re.M) == names.split()
        assert all(line.endswith(".") and "..." not in line for line in block[1].splitlines())


@pytest.mark.parametrize("arguments", [[], ["extract"], ["evaluate"], ["ablate"]], ids=" ".join)
def test_help_loads_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from jobs.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *arguments, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("name", all_commands())
def test_commands_with_many_options_take_them_as_an_object(name: str) -> None:
    typed = inspect.signature(inspect.unwrap(all_commands()[name].callback))
    assert len(typed.parameters) <= MOST_PARAMETERS


@pytest.mark.parametrize(
    ("options", "built"),
    [
        (FleetOptions().fleet(), Fleet()),
        (FleetOptions("2..3").fleet(), Fleet(WorkerRange(2, 3))),
        (BenchOptions().effort(), Effort()),
        (EvaluateOptions().measurement(), Measurement()),
        (SelectOptions().selection(), Selection(1000, 50, 5.0, None, 0, False, 0)),
        (AblateOptions().ablation(), Ablation(distilled=("xdog",))),
    ],
    ids=["generate", "workers", "bench", "evaluate", "select", "ablate"],
)
def test_options_left_out_have_the_defaults_of_what_they_build(options: Any, built: Any) -> None:
    assert options == built


@pytest.mark.parametrize(
    ("options", "built"),
    [
        (FleetOptions, Fleet),
        (BenchOptions, Effort),
        (EvaluateOptions, Measurement),
        (SelectOptions, Selection),
        (AblateOptions, Ablation),
    ],
)
def test_options_have_the_fields_of_what_they_build(options: Any, built: Any) -> None:
    assert [field.name for field in fields(options)] == [field.name for field in fields(built)]


def test_options_reach_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "jobs.evaluation.evaluate.evaluate_and_print", lambda *arguments: asked.append(arguments)
    )
    typed = ["evaluate", "run/extractor", "--photographs", "a", "--photographs", "b", "--scenes"]
    result = CliRunner().invoke(app, [*typed, "3", "--with-teacher", "--short-side", "64"])
    assert result.exit_code == 0, result.output
    ((evaluated, measurement, device, *_),) = asked
    assert measurement == Measurement(("a", "b"), scenes=3, teacher=True, short_side_px=64)
    assert (evaluated, device) == (Evaluated("run/extractor", "", None, None), "auto")
