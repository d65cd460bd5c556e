"""`onesketch prior` on a tiny backbone: what it leaves, and that its page needs nothing else."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from jobs.experiments import prior as job
from pipeline.diffusion.cdst import ConditionPrior


def onesketch(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    words = product(("a red", "two green", "the blue"), ("cat", "dog", "house", "ball", "tree"))
    lines = [
        f"{many} {what} {where}".strip() for many, what in words for where in ("", "on a house")
    ]
    path.write_text("\n".join([*lines, lines[0]]))
    return path


def test_prior_figures_and_page(
    tiny_backbone_folder: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "DRAWS", 100)
    out = tmp_path / "out"
    arguments = ("prior", str(tiny_backbone_folder), "--out", str(out), "--prompts", str(prompts))
    assert onesketch(*arguments).exit_code == 0
    kept = (out / "prompts.txt").read_text().splitlines()
    assert kept == prompts.read_text().splitlines()

    prior = ConditionPrior.load(out / "prior.safetensors")
    figures = json.loads((out / "prior.json").read_text())
    assert prior.metadata == {"prompts": "31"}
    assert (figures["prompts"], figures["distinct_prompts"]) == (31, 30)
    assert figures["components"] == len(prior.deviations) == len(figures["shapiro"]["p_values"])
    rejected = sum(p < 0.05 for p in figures["shapiro"]["p_values"])
    assert figures["shapiro"]["rejected"] == rejected
    emd = figures["emd"]["mean"]
    assert emd["multivariate normal"] < emd["uniform per axis"]

    page = (out / "prior.html").read_text()
    assert f"{rejected} of {figures['components']}" in page
    assert page.count("<svg") == 3 and "<script" not in page and 'src="http' not in page


def test_too_few_prompts(tiny_backbone_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("a red cat\n" * 40 + "a dog\n")
    few = str(tmp_path / "few.txt")
    result = onesketch("prior", str(tiny_backbone_folder), "--out", str(tmp_path), "--prompts", few)
    assert result.exit_code == 2
    assert "2 different prompts are too few" in result.stderr
