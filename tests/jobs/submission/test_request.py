"""Requests: what a person asks for is checked here, in one line, and the same has the same id."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from jobs.cli.main import app
from jobs.submission.request import COMMANDS, Asked, build_request
from tests.jobs.submission.conftest import Project

S3 = "s3://runs/ink"


def built(project: Project, *variables: str, **more: Any) -> Any:
    return build_request(project.asked(*variables, **more))


def test_the_command_line_is_the_stage_s_own(project: Project) -> None:
    request = built(
        project,
        "MODE=fast",
        command="generate",
        run=S3 + "/",
        shared_folder=False,
        workers="2..8",
        gpus_per_worker=0.5,
        grace_s=45,
        single_writer=True,
        cache="/scratch/cache",
        cache_gib=2.5,
    )
    assert request.entrypoint == (
        "onesketch generate recipe.yaml --run s3://runs/ink --cache /scratch/cache --workers 2..8 "
        "--gpus-per-worker 0.5 --grace 45 --cache-gib 2.5 --single-writer"
    )
    # The driver may take the grace, and then publishes a shard.
    assert request.variables == {"RAY_JOB_STOP_WAIT_TIME_S": "105", "MODE": "fast"}
    assert request.metadata == {
        "onesketch.command": "generate",
        "onesketch.style": "ink",
        "onesketch.run": S3,
        "onesketch.dataset": f"{S3}/dataset",
    }
    scored = built(project, command="evaluate", run=S3)
    assert scored.entrypoint.startswith(
        "onesketch evaluate s3://runs/ink/extractor --recipe recipe.yaml --run s3://runs/ink"
    )


def test_odd_names_reach_the_stage_as_they_are(project: Project) -> None:
    folder = project.folder.rename(project.folder.with_name("a style; rm -rf"))
    moved = Project(folder, Path("/shared/a run"), "", project.capsys)
    (folder / "recipe.yaml").rename(folder / "my recipe.yaml")
    request = build_request(
        Asked("teach", str(folder / "my recipe.yaml"), str(moved.run), shared_folder=True)
    )
    assert request.entrypoint == "onesketch teach 'my recipe.yaml' --run '/shared/a run'"


def test_a_dataset_elsewhere_stays_there(project: Project, settings: dict[str, Any]) -> None:
    settings["dataset"]["out"] = "s3://pairs/ink"
    project.recipe.write_text(yaml.safe_dump(settings))
    assert built(project, run=S3).dataset == "s3://pairs/ink"


def test_the_same_submission_has_the_same_id(project: Project, settings: dict[str, Any]) -> None:
    first = built(project, run=S3).prefix
    assert re.fullmatch("onesketch-generate-ink-[0-9a-f]{8}", first)
    same = [
        built(project, "MODE=other", run=S3, workers="7", grace_s=9).prefix,
        built(project, run=S3 + "/").prefix,
    ]
    project.recipe.write_text("# a remark\n" + yaml.safe_dump(settings))
    same.append(built(project, run=S3).prefix)
    assert set(same) == {first}
    others = [built(project, run=S3 + "2").prefix, built(project, run=S3, command="teach").prefix]
    (project.folder / "drawing.png").write_bytes(b"another drawing")
    others.append(built(project, run=S3).prefix)
    settings["dataset"]["samples"] = 44
    project.recipe.write_text(yaml.safe_dump(settings))
    others.append(built(project, run=S3).prefix)
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"command": "extract"}, "expected one of source, teach, generate"),
        ({"workers": "0"}, "0 workers"),
        ({"workers": "8..2"}, "MIN is larger than MAX"),
        ({"workers": "many"}, "expected a number such as 8"),
        (
            {"command": "source", "workers": "2"},
            "source takes no --workers (it is for generate, all)",
        ),
        ({"command": "report", "grace_s": 9}, "report takes no --grace"),
        ({"run": "runs/ink", "shared_folder": False}, "which the cluster does not see"),
        ({"run": "runs/ink"}, "give the absolute path"),
        ({"recipe": "nothing.yaml"}, "no recipe 'nothing.yaml'"),
    ],
)
def test_mistakes_are_named(project: Project, more: dict[str, Any], words: str) -> None:
    asked = project.asked(**more) if "recipe" not in more else Asked("teach", more["recipe"], S3)
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        build_request(asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("MODE", "expected NAME=VALUE"),
        ("2=3", "expected NAME=VALUE"),
        ("RAY_JOB_STOP_WAIT_TIME_S=3", "--grace"),
        ("AWS_SECRET_ACCESS_KEY=canary", "looks like a secret"),
        ("wandb_api_key=canary", "looks like a secret"),
        ("HF_TOKEN=canary", "looks like a secret"),
        ("PGPASSWORD=canary", "looks like a secret"),
        ("NOTE=prefix-canary-of-the-caller", "holds the value of your variable MY_TOKEN"),
        ("NOTE=short", "holds the value of your variable MY_KEY"),
    ],
)
def test_variables_that_may_not_be_sent(
    project: Project, variable: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "canary-of-the-caller")
    monkeypatch.setenv("MY_KEY", "short")
    with pytest.raises(ValueError, match=words) as refused:
        built(project, variable)
    assert "canary" not in str(refused.value)


def test_secrets_in_the_command_or_in_files_are_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="entrypoint's api_key looks like a secret"):
        built(project, run="s3://runs/api_key=abc")
    monkeypatch.setenv("MY_TOKEN", "canary-of-the-caller")
    with pytest.raises(ValueError, match="the entrypoint holds the value of your variable"):
        built(project, run="s3://runs/canary-of-the-caller")
    (project.folder / "prompts.txt").write_text("a cat\ncanary-of-the-caller\n")
    with pytest.raises(ValueError, match="the file prompts.txt holds the value"):
        built(project, run=S3)


def test_what_only_sounds_like_a_secret_may_be_sent(project: Project) -> None:
    request = built(project, "TOKENIZERS_PARALLELISM=false", run="s3://runs/monkey-tokens")
    assert request.variables["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize("command", COMMANDS)
def test_stages_take_the_options_that_are_passed_on(command: str) -> None:
    stages = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    taken = {option for p in stages[command].params for option in p.opts}
    assert {"--run", *COMMANDS[command].options} <= taken


def test_a_mistake_is_one_line_and_exit_code_2(project: Project) -> None:
    (project.folder / "drawing.png").unlink()
    command = ["submit", "all", str(project.recipe), "--run", S3, "--address", "http://127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-c", "from jobs.cli.main import app; app()", *command],
        capture_output=True,
        text=True,
        cwd=project.folder,
    )
    assert done.returncode == 2
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert "drawing.png is missing" in done.stderr
    assert sorted(p.name for p in project.folder.iterdir()) == [
        "diary.txt",
        "prompts.txt",
        "recipe.yaml",
    ]
